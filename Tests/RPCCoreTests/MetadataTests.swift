import RPCCore
import Testing

@Suite struct MetadataTests {
    @Test func keepsOrderAndRepetition() {
        var metadata = Metadata()
        #expect(metadata.isEmpty)
        metadata.append("b", Array("1".utf8))
        metadata.append("a", Array("2".utf8))
        metadata.append("b", Array("3".utf8))
        #expect(metadata.pairs.map(\.key) == ["b", "a", "b"])
        #expect(metadata[text: "b"] == "1", "the first value counts")
        #expect(metadata[text: "c"] == nil && !metadata.isEmpty)
    }

    @Test func bytesThatAreNoTextAreNoText() {
        var metadata = Metadata()
        metadata.append("raw", [0xff, 0xfe])
        #expect(metadata[text: "raw"] == nil)
        #expect(metadata.pairs.first?.value == [0xff, 0xfe])
    }
}
