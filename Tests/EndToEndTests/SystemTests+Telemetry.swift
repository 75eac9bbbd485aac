import AsyncHTTPClient
import Foundation
import NIOCore
import Testing

/// What the five show of themselves while people use them.
extension SystemTests {
    private func scrape(_ service: String) async throws -> String {
        let port = try #require(try system.metrics[service])
        let request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/metrics")
        let answer = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        try #require(answer.status == .ok)
        return String(buffer: try await answer.body.collect(upTo: 1 << 22))
    }

    /// The value of a series; zero when it is not there.
    private func value(_ series: String, in text: String) -> Double {
        let line = text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { Double($0.dropFirst(series.count + 1)) } ?? 0
    }

    @Test func everyProcessMeasuresASignIn() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let login = #"service="lockstep.auth.v1.AuthService",method="CreateSession""#
        let verify = #"service="lockstep.encryption.v1.PasswordService",method="Verify",code="OK""#
        let series = [
            ("gateway", "http_server_request_duration_seconds_count{\(login),status_class=\"2xx\"}"),
            ("gateway", "rpc_client_call_duration_seconds_count{\(login),code=\"OK\"}"),
            ("auth", "rpc_server_call_duration_seconds_count{\(login),code=\"OK\"}"),
            ("auth", "rpc_server_calls_total{\(login),code=\"OK\"}"),
            ("auth", "rpc_client_call_duration_seconds_count{\(verify)}"),
            ("auth", "db_query_duration_seconds_count{operation=\"write\",outcome=\"ok\"}"),
            ("encryption", "rpc_server_call_duration_seconds_count{\(verify)}"),
            ("encryption", "cpu_pool_busy_seconds_total"),
        ]
        var before: [Double] = []
        for (service, name) in series { before.append(value(name, in: try await scrape(service))) }
        #expect(try await system.signIn(address, password: Self.password).status == 201)
        for ((service, name), old) in zip(series, before) {
            let new = value(name, in: try await scrape(service))
            #expect(new > old, "\(service): \(name)")
        }
        for service in RunningSystem.services {
            let text = try await scrape(service)
            #expect(value("process_resident_memory_bytes", in: text) > 1_000_000)
            #expect(value("metrics_refused_total", in: text) == 0)
            for personal in [address, Self.password, "usr_", "ses_", "127.0.0.1"] {
                #expect(!text.contains(personal), "\(service) shows \(personal)")
            }
        }
    }

    @Test func theOperatorIsToldWhereTheMetricsAre() async throws {
        let system = try system
        let line: Substring? = try await eventually(within: .seconds(30)) {
            system.logText.split(separator: "\n").first { $0.contains("| metrics: ") }
        }
        let told = try #require(line)
        for service in RunningSystem.services {
            let port = try #require(system.metrics[service])
            #expect(told.contains("\(service) http://127.0.0.1:\(port)/metrics"))
        }
    }

    /// From the gateway through auth to encryption: each part names the one that caused it.
    @Test func aRequestIsOneTrace() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let id = (0..<32).map { _ in String("123456789abcdef".randomElement() ?? "1") }.joined()
        let login = #"{"email":"\#(address)","password":"\#(Self.password)"}"#
        let answer = try await system.curl(
            "/v1/sessions", "POST", json: login, headers: [("traceparent", "00-\(id)-00f067aa0ba902b7-01")])
        #expect(answer.status == 201)
        let spans: [[String: String]]? = try await eventually(within: .seconds(20)) {
            let spans = self.spans(of: id, in: system.logText)
            return spans.contains { $0["parent_id"] == "00f067aa0ba902b7" } ? spans : nil
        }
        let found = try #require(spans, "\(system.logText.suffix(4000))")
        let ids = Set(found.compactMap { $0["span_id"] } + ["00f067aa0ba902b7"])
        for span in found {
            let parent = try #require(span["parent_id"])
            #expect(ids.contains(parent), "\(span)")
        }
        let servers = found.filter { $0["kind"] == "server" }
        let services = Set(servers.compactMap { $0["service"] })
        #expect(services.isSuperset(of: ["gateway", "auth", "encryption"]), "\(found)")
    }

    private func spans(of trace: String, in log: String) -> [[String: String]] {
        log.split(separator: "\n").compactMap { line in
            guard line.contains(trace), let start = line.firstIndex(of: "{") else { return nil }
            let object = try? JSONSerialization.jsonObject(with: Data(line[start...].utf8)) as? [String: Any]
            guard object?["message"] as? String == "span" else { return nil }
            return object?.compactMapValues { $0 as? String }
        }
    }
}
