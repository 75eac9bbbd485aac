/// Every metric of the five processes.
package enum MetricCatalogue {
    /// From what an INLINE call takes to what the longest deadline allows, seconds.
    static let durations = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]

    package static let serverDuration = MetricDefinition(
        "rpc_server_call_duration_seconds", .histogram(bounds: durations), labels: [.service, .method, .code],
        help: "Calls answered here, from arrival to the handler's end.")
    package static let serverCalls = MetricDefinition(
        "rpc_server_calls_total", .counter, labels: [.service, .method, .code],
        help: "Calls answered here, those included that were refused before they ran.")
    package static let serverInFlight = MetricDefinition(
        "rpc_server_calls_in_flight", .gauge, labels: [.service, .method], help: "Calls let in and not yet ended.")
    package static let serverConnections = MetricDefinition(
        "rpc_server_connections", .gauge, help: "Connections of callers, those in their handshake included.")
    package static let clientDuration = MetricDefinition(
        "rpc_client_call_duration_seconds", .histogram(bounds: durations), labels: [.service, .method, .code],
        help: "Calls made from here, from the wish to call to the answer, retries included.")
    package static let clientInFlight = MetricDefinition(
        "rpc_client_calls_in_flight", .gauge, labels: [.service, .method], help: "Calls made from here and not answered.")
    package static let httpDuration = MetricDefinition(
        "http_server_request_duration_seconds", .histogram(bounds: durations),
        labels: [.service, .method, .statusClass],
        help: "HTTP requests, by the method of the contract behind their route.")
    package static let queueDepth = MetricDefinition(
        "queue_depth", .gauge, labels: [.queue], help: "What waits there now.")
    package static let poolWorkers = MetricDefinition(
        "cpu_pool_workers", .gauge, help: "Threads for SYNC work that is too long for an event loop.")
    package static let poolBusy = MetricDefinition("cpu_pool_busy_workers", .gauge, help: "Those that work now.")
    package static let poolBusySeconds = MetricDefinition(
        "cpu_pool_busy_seconds_total", .counter, help: "Time that they worked, all together.")
    package static let loopDelay = MetricDefinition(
        "event_loop_delay_seconds", .histogram(bounds: durations),
        help: "How late event loops turn to what they are given, asked twice a second.")
    package static let loopHeld = MetricDefinition(
        "event_loop_held_total", .counter, labels: [.service, .method],
        help: "Handlers that held their event loop for more than 100 ms.")
    package static let queryDuration = MetricDefinition(
        "db_query_duration_seconds", .histogram(bounds: durations), labels: [.operation, .outcome],
        help: "Reads and transactions of the service's database, waiting included.")
    package static let cpuSeconds = MetricDefinition(
        "process_cpu_seconds_total", .counter, help: "CPU time of the process, user and system.")
    package static let cores = MetricDefinition("process_cpu_cores", .gauge, help: "Cores that it may use.")
    package static let memory = MetricDefinition(
        "process_resident_memory_bytes", .gauge, help: "Memory that it holds.")
    package static let descriptors = MetricDefinition("process_open_fds", .gauge, help: "Descriptors that are open.")
    package static let maximumDescriptors = MetricDefinition(
        "process_max_fds", .gauge, help: "Descriptors that may be open.")
    package static let threads = MetricDefinition("process_threads", .gauge, help: "Threads that it has.")
    package static let startTime = MetricDefinition(
        "process_start_time_seconds", .gauge, help: "When it started, seconds since 1970.")
    package static let refusedSeries = MetricDefinition(
        "metrics_refused_total", .counter, help: "Metrics and labels that are not defined, and were dropped.")

    package static let all = [
        serverDuration, serverCalls, serverInFlight, serverConnections, clientDuration, clientInFlight, httpDuration,
        queueDepth, poolWorkers, poolBusy, poolBusySeconds, loopDelay, loopHeld, queryDuration, cpuSeconds, cores,
        memory, descriptors, maximumDescriptors, threads, startTime, refusedSeries,
    ]
}
