import RPCClient
import RPCCore
import RPCTransport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct AuthorizationTests {
    private let open = AsyncMethod(bytes: .test("Open")) { _, context in
        [context.lane.rawValue, context.user == nil ? 0 : 1]
    }
    private let user = AsyncMethod(bytes: .test("User", exposure: .user)) { _, context in
        Array(try context.requireUser().subject.utf8)
    }
    private let admin = AsyncMethod(bytes: .test("Admin", exposure: .admin(roles: ["auditor"]))) { _, _ in [] }
    private let calm = AsyncMethod(bytes: .test("Calm", maximumLane: .routine)) { _, context in
        [context.lane.rawValue]
    }

    @Test(
        "Only the callers that the contract names get in",
        arguments: [("gateway", true), ("token", false), ("email", false), ("operator", false), ("auth", false)])
    func callers(peer: String, isAllowed: Bool) async throws {
        let observer = RecordingObserver()
        try await withServer([open], observer: observer) { _, address in
            try await withClient(address, as: peer) { client in
                guard !isAllowed else { return _ = try await client.call(open.descriptor) }
                let error = try await client.failure(open.descriptor)
                #expect(error.code == .permissionDenied)
                #expect(error.processed == .no)
            }
        }
        #expect(observer.all.refused.count == (isAllowed ? 0 : 1))
        #expect(observer.all.refused.first?.method?.name == (isAllowed ? nil : "Open"))
    }

    @Test("A method that is not there looks like one that is forbidden")
    func unknownMethod() async throws {
        let observer = RecordingObserver()
        let absent = MethodDescriptor.test("Absent")
        try await withServer([open], observer: observer) { _, address in
            try await withClient(address, as: "token") { client in
                var unknown = try await client.failure(absent)
                let forbidden = try await client.failure(open.descriptor)
                unknown.message.replace("\(absent.id)", with: "\(open.descriptor.id)")
                unknown.timeline = forbidden.timeline
                #expect(unknown == forbidden)
            }
        }
        #expect(observer.all.refused.map(\.method?.name) == [nil, "Open"])
    }

    @Test("A method for users needs one, a method for administrators needs the role")
    func users() async throws {
        try await withServer([open, user, admin], users: TestTokens()) { _, address in
            try await withClient(address) { client in
                #expect(try await client.failure(user.descriptor).code == .unauthenticated)
                let forged = try await client.failure(user.descriptor) { $0.userToken = "forged" }
                #expect(forged.code == .unauthenticated)
                let subject = try await client.call(user.descriptor) { $0.userToken = "usr_1:low:none" }
                #expect(subject == Array("usr_1".utf8))
                let plain = try await client.failure(admin.descriptor) { $0.userToken = "usr_1:low:none" }
                #expect(plain.code == .permissionDenied)
                #expect(plain.reason == "role_missing")
                _ = try await client.call(admin.descriptor) { $0.userToken = "usr_1:low:auditor" }
                #expect(try await client.call(open.descriptor) == [0, 0])
            }
        }
    }

    @Test("A method for users cannot be hosted where nobody can tell users")
    func needsVerifier() throws {
        #expect(throws: HostingError.self) {
            try AsyncServer(
                handlers: [TestAsyncService(asyncMethods: [user])],
                tls: try TestCertificates.shared.get().identity("auth"))
        }
    }

    @Test("The lane is the least urgent of what is asked, what the method allows and what the user has")
    func lanes() async throws {
        try await withServer([open, calm], users: TestTokens()) { _, address in
            try await withClient(address) { client in
                let cases: [(method: AsyncMethod, token: String?, asked: Lane, granted: UInt8)] = [
                    (open, nil, .emergency, 0), (open, nil, .routine, 0), (open, "u:low:r", .emergency, 0),
                    (open, "u:high:r", .emergency, 1), (open, "u:high:r", .routine, 0),
                    (calm, "u:high:r", .emergency, 0),
                ]
                for item in cases {
                    let answer = try await client.call(item.method.descriptor) {
                        $0.lane = item.asked
                        $0.userToken = item.token
                    }
                    #expect(answer.first == item.granted, "\(item.token ?? "nobody"), asked \(item.asked)")
                }
            }
        }
    }

    @Test("A method's own concurrency limit refuses at once, with advice")
    func concurrency() async throws {
        let (started, release) = (Latch(), Latch())
        let single = AsyncMethod(bytes: .test("Single", concurrency: 1)) { request, _ in
            started.open()
            await release.wait()
            return request
        }
        try await withServer([single]) { _, address in
            try await withClient(address) { client in
                async let first = client.call(single.descriptor, [7])
                await started.wait()
                let error = try await client.failure(single.descriptor)
                #expect(error.code == .resourceExhausted)
                #expect(error.processed == .no)
                #expect(error.retryAfter != nil)
                release.open()
                let firstAnswer = try await first
                #expect(firstAnswer == [7])
                #expect(try await client.call(single.descriptor, [8]) == [8])
            }
        }
    }
}
