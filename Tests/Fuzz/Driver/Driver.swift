import FuzzHTTP
import FuzzWire
import Glibc

/// What libFuzzer is to call. `FUZZ_TARGET` names the target; `FUZZ_PLANT=1` builds its fault in.
private struct Chosen: Sendable {
    var target: FuzzTarget
    var plant: Plant

    static let one: Chosen = {
        let name = environment("FUZZ_TARGET") ?? ""
        guard let target = [FuzzTarget.frames, .server, .client, .http].first(where: { $0.name == name }) else {
            print("FUZZ_TARGET is \"\(name)\": frames, server, client or http was expected")
            exit(2)
        }
        return Chosen(target: target, plant: environment("FUZZ_PLANT") == "1" ? .planted : .none)
    }()

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// libFuzzer's own entry, for programs that have a `main` (llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library").
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ testOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

@main
private struct Driver {
    static func main() {
        _ = Chosen.one
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(runDriver(&count, &arguments) { data, size in Driver.testOneInput(data, size) })
    }

    private static func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
        let bytes = Array(UnsafeBufferPointer(start: data, count: size))
        do throws(BrokenPromise) {
            try Chosen.one.target.run(bytes, Chosen.one.plant)
        } catch {
            let text = "BROKEN PROMISE: \(error)\n"
            _ = text.withCString { write(STDERR_FILENO, $0, text.utf8.count) }
            // libFuzzer keeps the input of a run that ends like this.
            abort()
        }
        return 0
    }
}
