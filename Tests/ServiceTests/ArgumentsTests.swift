// Owns: the tests of binding lines to typed values, with verbs that are made up here.

import Testing
import Wire

@testable import Service
@testable import Settings

struct ArgumentsTests {
  private static func verb(
    _ words: [WordRule], options: [OptionName] = [.ttl, .token, .req],
    required: [OptionName] = [], payload: PayloadRule = .optionalObject
  ) -> Verb {
    Verb(
      name: "MADEUP", rights: .write, words: words, options: options, required: required,
      payload: payload, summary: "Does nothing.", replies: ["OK"]
    ) { (_) throws(RequestError) in }
  }

  private static let note = WordRule(name: "note", kind: .text(bytesMax: 5), isOptional: true)
  private static let usual = verb([.device, .agent, note])
  private static let usage = "MADEUP device agent [note] [ttl=] [token=] [req=] [payload]"

  /// The bound arguments, as text.
  private struct Bound: Equatable {
    var words: [String] = []
    var options: [OptionName: String] = [:]
    var numbers: [OptionName: Int64] = [:]
    var payload: String?
  }

  private func bind(
    _ line: String, _ verb: Verb = usual, _ arguments: inout Arguments
  ) throws -> Bound {
    let bytes = Array(line.utf8)
    var parser = RequestParser()
    try parser.parse(bytes.span)
    try arguments.bind(verb, parser, bytes.span)
    let text = arguments.decoded.isEmpty ? bytes : arguments.decoded
    func part(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }
    var bound = Bound(words: arguments.words.map { part($0.token.range) })
    for option in OptionName.allCases {
      guard let argument = arguments[option] else { continue }
      bound.options[option] = part(argument.token.range)
      bound.numbers[option] = argument.number
    }
    bound.payload = arguments.payload.map(part)
    return bound
  }

  private func bind(
    _ line: String, _ verb: Verb = usual, deviceIDs: DeviceIDs = .any
  ) throws -> Bound {
    var arguments = Arguments(deviceIDs: deviceIDs)
    return try bind(line, verb, &arguments)
  }

  private func refusal(
    _ line: String, _ verb: Verb = usual, deviceIDs: DeviceIDs = .any
  ) throws -> String {
    let error = try #require(throws: RequestError.self) {
      try bind(line, verb, deviceIDs: deviceIDs)
    }
    #expect(error.code == .badRequest)
    return error.text
  }

  // MARK: Accepted

  @Test func `every verb takes the parent of a trace, of one form`() throws {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    var arguments = Arguments(deviceIDs: .any)
    let line = Array("MADEUP dev bot \"a\" trace=\(parent) ttl=1h".utf8)
    let bound = try bind(String(decoding: line, as: UTF8.self), Self.usual, &arguments)
    #expect(bound.options == [.ttl: "1h"], "it is no option of the verb's own")
    #expect(arguments.trace.map { String(decoding: $0, as: UTF8.self) } == parent)
    _ = try bind("MADEUP dev bot", Self.usual, &arguments)
    #expect(arguments.trace == nil)
    for bad in [
      "x", parent + "0", parent.uppercased(), "ff" + parent.dropFirst(2),
      "00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "\"\(parent)\\u0030\"",
    ] {
      let text = try refusal("MADEUP dev bot trace=\(bad)")
      #expect(text.contains("trace= is no traceparent"), "\(text)")
    }
  }

  @Test func `words, options and payload are where they stand`() throws {
    let bound = try bind(#"MADEUP d1 a n ttl=5s token=7 req=x:1 {"a":[1, 2]}"#)
    #expect(bound.words == ["d1", "a", "n"])
    #expect(bound.options == [.ttl: "5s", .token: "7", .req: "x:1"])
    #expect(bound.numbers == [.ttl: 5_000, .token: 7, .req: 0])
    #expect(bound.payload == #"{"a":[1, 2]}"#)
    #expect(try bind("madeup d1 a") == Bound(words: ["d1", "a"]))
  }

  @Test(arguments: ["req", "REQ", "Req", "rEQ"])
  func `an option is known in any case, and its value is not changed`(name: String) throws {
    #expect(try bind("MADEUP D A \(name)=aBc").options == [.req: "aBc"])
  }

  @Test(
    arguments: [
      (#"MADEUP "d1" "a" "n""#, ["d1", "a", "n"]), (#"MADEUP "d\u0031" a"#, ["d1", "a"]),
      (#"MADEUP d a "a b""#, ["d", "a", "a b"]),
      (#"MADEUP d a "\"\\\/\n""#, ["d", "a", "\"\\/\n"]),
      (#"MADEUP d a "\u00fc\t""#, ["d", "a", "ü\t"]), (#"MADEUP d a "日""#, ["d", "a", "日"]),
      (#"MADEUP d a "\ud83d\ude00""#, ["d", "a", "😀"]), (#"MADEUP d "\u0061" x"#, ["d", "a", "x"]),
    ] as [(String, [String])])
  func `a quoted word is compared unquoted`(line: String, words: [String]) throws {
    #expect(try bind(line).words == words)
  }

  @Test func `quoted words, options and a payload stand in one text`() throws {
    let bound = try bind(#"MADEUP "d\u0031" "a" "n\n" req="r\u0032" ttl="5s" {"k":"\u0033"}"#)
    #expect(bound.words == ["d1", "a", "n\n"])
    #expect(bound.options == [.req: "r2", .ttl: "5s"])
    #expect(bound.numbers[.ttl] == 5_000)
    #expect(bound.payload == #"{"k":"\u0033"}"#)
  }

  @Test func `a value at its limit is right`() throws {
    let (id, agent) = (String(repeating: "i", count: 512), String(repeating: "g", count: 128))
    #expect(try bind("MADEUP \(id) \(agent) 12345").words == [id, agent, "12345"])
    #expect(try bind("MADEUP A-Z.z_9:@+%~!*'() a req=\(id)").options == [.req: id])
    for id in ["(", "'", "!", "**", "*a", "%2A", "()"] {
      #expect(try bind("MADEUP \(id) \(id) req=\(id)").words == [id, id])
    }
    for (text, number) in [("1", 1), ("9007199254740991", 9_007_199_254_740_991)]
      as [(String, Int64)]
    {
      #expect(try bind("MADEUP d a token=\(text)").numbers == [.token: number])
    }
    for (text, ms) in [("10ms", 10), ("3650d", 315_360_000_000), ("7", 7_000)] as [(String, Int64)]
    {
      #expect(try bind("MADEUP d a ttl=\(text)").numbers == [.ttl: ms])
    }
  }

  /// Values of an option that are at its limits, and values just beyond them.
  private static func limits(of option: OptionName) -> (good: [String], bad: [String]) {
    func texts(_ bytesMax: Int) -> (good: [String], bad: [String]) {
      (
        ["i", String(repeating: "i", count: bytesMax)],
        [String(repeating: "i", count: bytesMax + 1)]
      )
    }
    switch option.kind {
    case .integer(let range):
      let bad = ["\(range.upperBound + 1)", "\(range.lowerBound - 1)", "x"]
      return (["\(range.lowerBound)", "\(range.upperBound)"], bad)
    case .duration(let allowsZero):
      let zero = allowsZero ? ["0"] : []
      let nonzero = allowsZero ? [] : ["0"]
      return (["10ms", "3650d"] + zero, ["9ms", "315360000001ms"] + nonzero)
    case .text(let bytesMax): return texts(bytesMax)
    case .agent: return texts(128)
    case .oneOf(let words): return (words, words.map { "\($0)x" })
    case .someOf(let words): return (words + [words.joined(separator: ",")], words.map { "\($0)," })
    case .id, .group, .device, .deviceOrAll, .addressOrAll, .listed, .linkKind, .linkRef, .address:
      return texts(512)
    }
  }

  @Test(arguments: OptionName.allCases)
  func `an option takes the values at its limits, and none beyond`(option: OptionName) throws {
    let verb = Self.verb([], options: [option])
    let (good, bad) = Self.limits(of: option)
    for value in good { _ = try bind("MADEUP \(option.text)=\(value)", verb) }
    for value in bad { _ = try refusal("MADEUP \(option.text)=\(value)", verb) }
  }

  @Test func `one value is used again and keeps nothing of the line before`() throws {
    var arguments = Arguments(deviceIDs: .any)
    _ = try bind(#"MADEUP "d\u0031" a "n" ttl=5s token=7 req="x" {}"#, Self.usual, &arguments)
    #expect(try bind("MADEUP e b", Self.usual, &arguments) == Bound(words: ["e", "b"]))
    #expect(throws: RequestError.self) { try bind("MADEUP e b zzz=1", Self.usual, &arguments) }
    #expect(try bind("MADEUP f c", Self.usual, &arguments) == Bound(words: ["f", "c"]))
  }

  @Test func `* stands for all devices only where it may`() throws {
    let all = Self.verb([WordRule(name: "device", kind: .deviceOrAll)])
    #expect(try bind("MADEUP *", all).words == ["*"])
    #expect(try bind("MADEUP d", all).words == ["d"])
    #expect(try bind("MADEUP **", all).words == ["**"])
    #expect(try refusal("MADEUP * a") == "device '*' is not an id: * alone stands for all")
    #expect(try refusal("MADEUP d *") == "agent '*' is not an id: * alone stands for all")
  }

  @Test func `a duration may be zero only where a clock can be off`() throws {
    let off = Self.verb([WordRule(name: "idle", kind: .duration(allowsZero: true))])
    #expect(try bind("MADEUP 0", off).words == ["0"])
    #expect(try bind("MADEUP 0ms", off).words == ["0ms"])
    #expect(try refusal("MADEUP d a ttl=0ms").hasPrefix("ttl=0: a duration from 10ms"))
  }

  // MARK: Rejected

  /// Each with the begin of its text, which names the fault.
  static let wrong: [(String, String)] = [
    ("MADEUP", "missing word device: \(usage)"), ("MADEUP d", "missing word agent: \(usage)"),
    ("MADEUP d a n x", "extra word 'x' (quote a text that has spaces): \(usage)"),
    (#"MADEUP d a n "x y""#, "extra word 'x y' (quote a text that has spaces): \(usage)"),
    ("MADEUP d a zzz=1", "unknown option 'zzz': \(usage)"),
    ("MADEUP d a ZZZ=1", "unknown option 'ZZZ': \(usage)"),
    ("MADEUP d a tt=1s", "unknown option 'tt'"), ("MADEUP d a ttls=1s", "unknown option 'ttls'"),
    ("MADEUP d a limit=1", "unknown option 'limit'"), ("MADEUP d a t_l=1s", "unknown option 't_l'"),
    ("MADEUP d a ttl=1s TTL=2s", "option 'TTL' is repeated"),
    ("MADEUP d/1 a", "device 'd/1' is not an id: '/' is none of A-Z a-z 0-9"),
    ("MADEUP dü a", "device 'dü' is not an id"), (#"MADEUP "" a"#, "device '' is not an id"),
    (#"MADEUP "a b" a"#, "device 'a b' is not an id"),
    (#"MADEUP "a\nb" a"#, "device 'a<U+000A>b' is not an id"),
    (#"MADEUP d "\u0000""#, "agent '<U+0000>' is not an id: U+0000 is none of"),
    ("MADEUP d a,b", "agent 'a,b' is not an id: ',' is none of"),
    ("MADEUP d a req=a/b", "req 'a/b' is not an id"),
    (#"MADEUP d a req="""#, "req '' is not an id"),
    ("MADEUP d a token=0", "token='0' is not from 1 to 9007199254740991"),
    ("MADEUP d a token=9007199254740992", "token='9007199254740992' is not from 1 to"),
    ("MADEUP d a token=-1", "token='-1' is not a number"),
    ("MADEUP d a token=+1", "token='+1' is not a number"),
    ("MADEUP d a token=1.5", "token='1.5' is not a number"),
    ("MADEUP d a token=x", "token='x' is not a number"),
    ("MADEUP d a token=00000000000000000001", "token='00000000000000000001' is not a number"),
    ("MADEUP d a ttl=0", "ttl=0: a duration from 10ms to 3650d is needed"),
    ("MADEUP d a ttl=9ms", "ttl=duration '9ms' is not from 10ms to 3650d"),
    ("MADEUP d a ttl=3651d", "ttl=duration '3651d' is not from 10ms to 3650d"),
    ("MADEUP d a ttl=1S", "ttl='1S' is not a duration"),
    ("MADEUP d a ttl=-1s", "ttl='-1s' is not a duration"),
    ("MADEUP d a ttl=1.5s", "ttl='1.5s' is not a duration"),
    ("MADEUP d a 123456", "note must have 1 to 5 bytes"),
    ("MADEUP d a größe", "note must have 1 to 5 bytes"),
    (#"MADEUP d a """#, "note must have 1 to 5 bytes"),
    ("MADEUP d a [1]", "the payload of MADEUP must be an object"),
  ]

  @Test(arguments: wrong)
  func `the wrong word is named`(line: String, text: String) throws {
    let given = try refusal(line)
    #expect(given.hasPrefix(text), "\(given)")
  }

  @Test func `an id that is too long is named, and shown in part`() throws {
    for (line, name, room) in [
      ("MADEUP \(String(repeating: "x", count: 513)) a", "device", 512),
      ("MADEUP d \(String(repeating: "x", count: 129))", "agent", 128),
    ] {
      let shown = "\(name) '\(String(repeating: "x", count: 64))'... is not an id"
      let text = "\(shown): it has \(room + 1) bytes, and \(room) are allowed: shorten it"
      #expect(try refusal(line) == text)
    }
  }

  @Test func `an option that must be given is named when it is not`() throws {
    let renewing = Self.verb([.device], required: [.token])
    #expect(try bind("MADEUP d token=1", renewing).numbers == [.token: 1])
    let text = try refusal("MADEUP d ttl=1s", renewing)
    #expect(
      text == "missing option token=: MADEUP device [ttl=] token= [req=] [payload]", "\(text)")
  }

  @Test func `a payload is there only where it may or must be`() throws {
    for (rule, shown) in [(PayloadRule.record, " payload"), (.any, " payload")] {
      let verb = Self.verb([], options: [], payload: rule)
      #expect(try refusal("MADEUP", verb) == "missing payload: MADEUP\(shown)")
      #expect(try bind("MADEUP {}", verb).payload == "{}")
    }
    let none = Self.verb([], options: [], payload: .none)
    #expect(try refusal("MADEUP {}", none) == "unexpected payload: MADEUP")
    #expect(try bind("MADEUP", none) == Bound())
    for rule in [PayloadRule.any, .optionalAny] {
      #expect(try bind("MADEUP [1]", Self.verb([], options: [], payload: rule)).payload == "[1]")
    }
    for rule in [PayloadRule.record, .optionalObject] {
      let text = try refusal("MADEUP [1]", Self.verb([], options: [], payload: rule))
      #expect(text == "the payload of MADEUP must be an object")
    }
    for rule in [PayloadRule.optionalObject, .optionalAny] {
      #expect(try bind("MADEUP", Self.verb([], options: [], payload: rule)).payload == nil)
    }
  }

  @Test func `where devices must be UUIDs, others are named`() throws {
    let id = "550e8400-e29b-41d4-a716-446655440000"
    for spelling in [id, id.uppercased(), "550E8400-e29b-41d4-a716-446655440000"] {
      for word in [spelling, "\"\(spelling)\"", "\"\\u0035\(spelling.dropFirst())\""] {
        let bound = try bind("MADEUP \(word) A ttl=5s req=\"R\" {}", deviceIDs: .uuid)
        #expect(bound.words == [id, "A"] && bound.payload == "{}")
        #expect(bound.options == [.ttl: "5s", .req: "R"])
      }
      #expect(try bind("MADEUP \(spelling) A").words == [spelling, "A"])
    }
    #expect(
      try refusal("MADEUP d1 a", deviceIDs: .uuid)
        == "device 'd1' is not a UUID, as this worker asks for")
    #expect(try refusal("MADEUP d/1 a", deviceIDs: .uuid).hasPrefix("device 'd/1' is not an id"))
    let all = Self.verb([WordRule(name: "device", kind: .deviceOrAll)])
    #expect(try bind("MADEUP *", all, deviceIDs: .uuid).words == ["*"])
    #expect(try bind("MADEUP \(id.uppercased())", all, deviceIDs: .uuid).words == [id])
    // Of an address and a list the device alone is spelt anew, and of a link nothing.
    let address = Self.verb([WordRule(name: "address", kind: .address(parts: 3))])
    for rest in ["", "/current", "/01ARZ3NDEKTSV4RRFFQ69G5FAV/3"] {
      let bound = try bind("MADEUP \(id.uppercased())\(rest)", address, deviceIDs: .uuid)
      #expect(bound.words == ["\(id)\(rest)"])
    }
    let listed = Self.verb([WordRule(name: "listed", kind: .listed)])
    #expect(try bind("MADEUP \(id.uppercased())", listed, deviceIDs: .uuid).words == [id])
    let link = "TAG=\(id.uppercased())"
    #expect(try bind("MADEUP \(link)", listed, deviceIDs: .uuid).words == [link])
  }
}
