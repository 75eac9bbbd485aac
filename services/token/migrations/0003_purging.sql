-- What is purged each minute is found by range.
CREATE INDEX connections_pending ON connections (created_at) WHERE state = 'pending';
CREATE INDEX connections_deleted ON connections (updated_at) WHERE state = 'deleted';
