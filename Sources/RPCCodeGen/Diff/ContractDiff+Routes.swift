extension ContractDiff {
    mutating func compareRoutes(_ old: MethodModel, _ new: MethodModel) {
        switch (old.route, new.route) {
        case (let before?, let after?): compare(before, after, new.rulesPlace)
        case (let before?, nil): report(.breaking, .route, new.rulesPlace, "the route \(before.description) is lost")
        case (nil, let after?): report(.compatible, .route, new.rulesPlace, "a new route, \(after.description)")
        case (nil, nil): break
        }
    }

    private mutating func compare(_ old: RouteModel, _ new: RouteModel, _ place: Place) {
        // What a path's field is called is nothing that a client sees.
        compare(.route, "http", old.description, new.description, place, breaks: old.shape != new.shape)
        compare(.routeBody, "http.body", old.hasBody ? "*" : "none", new.hasBody ? "*" : "none", place, breaks: true)
        compare(.routeBody, "http.oauth", old.isOAuth, new.isOAuth, place, breaks: true)
        compare(.routeSuccess, "http.success", old.success, new.success, place, breaks: true)
        compare(.routeCaching, "http.max_age", old.maxAge, new.maxAge, place, breaks: false)
        compare(
            .routeQuery, "http.ignore_unknown_query", old.ignoresUnknownQuery, new.ignoresUnknownQuery, place,
            breaks: old.ignoresUnknownQuery)
    }
}

extension RouteModel {
    /// Verb and path, fields without their names.
    fileprivate var shape: [String] {
        [verb ?? ""] + segments.map { if case .literal(let text) = $0 { text } else { "{}" } }
    }
}
