import Testing

/// What a reader should never meet, or never without a reason.
@Suite struct HabitTests {
    @Test(arguments: ["try!", "@unchecked Sendable", "nonisolated(unsafe)", "unsafeBitCast", "fatalError("])
    func dangerHasItsReasonOnTheLineBefore(danger: String) throws {
        for file in try SourceTree.swift(below: "Sources", "services") {
            for index in file.lines.indices where file.code(at: index).contains(danger) {
                let before = index > 0 ? file.lines[index - 1].trimmingPrefix(while: \.isWhitespace) : ""
                #expect(before.hasPrefix("//"), "\(file.path):\(index + 1) uses \(danger) and does not say why")
            }
        }
    }

    @Test(arguments: ["TO" + "DO", "FIX" + "ME", "XX" + "X"])
    func nothingIsLeftForLater(mark: String) throws {
        for file in try SourceTree.swift(below: "Sources", "services", "Tests") {
            for (index, line) in file.lines.enumerated() {
                #expect(!line.contains(mark), "\(file.path):\(index + 1)")
            }
        }
    }

    @Test(arguments: ["Task." + "sleep", "u" + "sleep(", "Thread." + "sleep"])
    func testsWaitForEventsNotForTime(sleep: String) throws {
        for file in try SourceTree.swift(below: "Tests") where !file.path.hasPrefix("Tests/Benchmarks") {
            for index in file.lines.indices where file.code(at: index).contains(sleep) {
                let before = index > 0 ? file.lines[index - 1].trimmingPrefix(while: \.isWhitespace) : ""
                #expect(before.hasPrefix("//"), "\(file.path):\(index + 1) sleeps and does not say why")
            }
        }
    }

    @Test func filesFitInOneHead() throws {
        for file in try SourceTree.swift(below: "Sources", "services", "Tests") {
            #expect(file.lines.count <= 700, "\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test func linesFitOnAScreen() throws {
        for file in try SourceTree.swift(below: "Sources", "services", "Tests") {
            // Raw strings are expected texts, and stand as they are.
            for (index, line) in file.lines.enumerated() where !line.contains("#\"") {
                #expect(line.count <= 140, "\(file.path):\(index + 1)")
            }
        }
    }
}
