// Lines that are no valid requests: each gets one clear error, and the connection stays in sync.

import Foundation
import Testing
import struct TestSupport.Seeded

/// A client, a bystander and a device whose lock `a` holds; bad requests must not touch any.
private struct BadInputBench {
  let client: LineClient
  let bystander: LineClient
  let device = Lab.device()
  let grant: Grant

  init() throws {
    let lab = try Lab.current
    client = try lab.connect()
    bystander = try lab.connect()
    grant = try Grant(client.request("LOCK \(device) a ttl=1h"))
  }

  /// Sends a line in which DEV stands for the device, and expects a clear error and no harm.
  func expectRefused(
    _ template: String, naming names: String = "", at place: SourceLocation = #_sourceLocation
  ) throws {
    let line = template.replacingOccurrences(of: "DEV", with: device)
    let shown = Comment(rawValue: "for: \(line.prefix(120))")
    expectBadRequest(try client.request(line), naming: names, shown, at: place)
    #expect(try client.request("PING").raw == "OK", shown, sourceLocation: place)
    #expect(try bystander.request("PING").raw == "OK", shown, sourceLocation: place)
  }

  /// Expects that the lock is as it was at the beginning.
  func expectUntouched(at place: SourceLocation = #_sourceLocation) throws {
    let reply = try bystander.request("HOLDER \(device)")
    #expect(try reply.string("agent") == "a", sourceLocation: place)
    #expect(try reply.int("acquired_at") == grant.acquiredAt, sourceLocation: place)
    #expect(try reply.int("ttl_ms") > 3_500_000, sourceLocation: place)
    #expect(!reply.raw.contains("note"), "\(reply)", sourceLocation: place)
  }
}

extension SystemSuites {
  @Suite(.lab()) struct BadInput {
    // MARK: grammar

    @Test func `verbs and options are read in any case, values are not`() throws {
      let bench = try BadInputBench()
      let (client, device) = (bench.client, bench.device)
      #expect(try client.request("ping").raw == "OK")
      #expect(try client.request("pInG").raw == "OK")
      let token = bench.grant.token
      #expect(try Grant(client.request("lock \(device) a TTL=1h Token=\(token)")).renewed)
      #expect(try Grant(client.request("Renew \(device) a tOKEN=\(token) tTl=1h")).renewed)
      expect(try client.request("LOCK \(device) A"), "HELD")
      expect(try client.request("HOLDER \(device.uppercased())x"), "NONE")
      try bench.expectUntouched()
    }

    @Test func `a word or a value may be quoted`() throws {
      let bench = try BadInputBench()
      let (client, device) = (bench.client, bench.device)
      let same = [
        "LOCK \"\(device)\" \"a\" ttl=\"1h\"", "LOCK \(device) \"\\u0061\" ttl=1h",
        "LOCK \(device) a ttl=1h token=\"\(bench.grant.token)\"",
      ]
      for line in same {
        #expect(try Grant(client.request(line)).renewed, "\(line)")
      }
      for line in [
        "LOCK \"DEV a", "LOCK \"DEV\"x a", "LOCK DEV \"\\x\"", "LOCK DEV a req=\"r",
        "LOCK DEV a req=\"r\"x", "LOCK DEV \"a b\"", "LOCK DEV \"\"", "LOCK \"\" a",
        "LOCK DEV \"a\\n\"", "LOCK DEV \"a\\u0000\"", "LOCK DEV \"\\ud800\"",
      ] {
        try bench.expectRefused(line)
      }
      try bench.expectUntouched()
    }

    @Test(arguments: [
      ("LOCK", "device"), ("LOCK DEV", "agent"), ("RENEW DEV token=1", "agent"),
      ("HOLDER", "device"),
      ("UNLOCK DEV", "agent"), ("HANDOFF DEV a", "to"), ("HANDOFF DEV", "from"),
      ("CLEAR", "device"),
      ("SEIZE DEV", "agent"), ("RENEW DEV a", "token"), ("LOCK DEV ttl=5s", "agent"),
      ("LOCK DEV [1]", ""), ("AUTH", "secret"),
    ])
    func `a missing word is named`(line: String, missing: String) throws {
      try BadInputBench().expectRefused(line, naming: missing)
    }

    @Test(arguments: [
      ("LOCK DEV a extra7", "extra7"), ("HOLDER DEV extra7", "extra7"), ("PING extra7", "extra7"),
      ("HANDOFF DEV a b extra7", "extra7"), ("INFO extra7", "extra7"), ("QUIT extra7", "extra7"),
      ("CLEAR DEV extra7", "extra7"), ("LOCK DEV a ttl=5s extra7", "extra7"),
      ("LOCK DEV a colour=red", "colour"), ("HOLDER DEV ttl=5s", "ttl"), ("PING req=1", "req"),
      ("CLEAR DEV token=5", "token"), ("SEIZE DEV a token=5", "token"), ("LOCK DEV a =5", ""),
      ("LOCK DEV a ttl=5s ttl=5s", "ttl"), ("LOCK DEV a ttl=5s TTL=6s", "ttl"),
      ("LOCK DEV a req=1 ttl=5s req=1", "req"), ("LOCK DEV a {\"x\":1}", ""), ("PING {}", ""),
      ("HOLDER DEV []", ""), ("RENEW DEV a token=1 {}", ""), ("CLEAR DEV {}", ""),
    ])
    func `an extra word, an unknown or a repeated option is named`(
      line: String, named: String
    ) throws {
      let bench = try BadInputBench()
      try bench.expectRefused(line, naming: named)
      try bench.expectUntouched()
    }

    @Test(arguments: ["FROB", "FROB x y", "LOCKZ d a", "LOC d a", "frob {}", "FROB =", "X"])
    func `an unknown verb is rejected as such`(line: String) throws {
      let bench = try BadInputBench()
      expect(try bench.client.request(line), "ERR", "unknown_verb")
      #expect(try bench.client.request("PING").raw == "OK")
    }

    @Test(arguments: ["héllo", "lock-d", "=", "*", "/", "-", "'PING'"])
    func `a word that cannot be a verb is an error`(line: String) throws {
      let bench = try BadInputBench()
      let reply = try bench.client.request(line)
      #expect(["unknown_verb", "bad_request"].contains(reply.code), "\(reply)")
      #expect(try bench.client.request("PING").raw == "OK")
    }

    @Test(arguments: [
      " PING", "PING ", "PING  ", "LOCK  DEV a", "LOCK DEV  a", "LOCK DEV a ", "LOCK DEV a  ttl=5s",
      " ", "  ", " LOCK DEV a", "HANDOFF DEV a b  {}", "LOCK DEV a ttl= 5s", "LOCK DEV a ttl =5s",
      "\"PING\"", "{\"verb\":\"PING\"}", "[]", "\"", "{",
    ])
    func `one space parts two words, and nothing else is forgiven`(line: String) throws {
      let bench = try BadInputBench()
      try bench.expectRefused(line)
      try bench.expectUntouched()
    }

    // MARK: values

    @Test func `ids and agents have an alphabet and a length`() throws {
      let bench = try BadInputBench()
      let client = bench.client
      let every = "AZaz09._:@+-%~!*'()"
      let longest = String((bench.device + String(repeating: "x", count: 512)).prefix(512))
      let agent = String((every + String(repeating: "y", count: 128)).prefix(128))
      #expect(try Grant(client.request("LOCK \(longest) \(agent)")).agent == agent)
      #expect(try Grant(client.request("LOCK \(every)\(bench.device) a")).agent == "a")
      try bench.expectRefused("HOLDER \(longest)x", naming: "it has 513 bytes, and 512 are allowed")
      try bench.expectRefused("LOCK DEV \(agent)y", naming: "it has 129 bytes, and 128 are allowed")
      for line in ["HOLDER *", "LOCK * a", "LOCK DEV *", "LOCK DEV a req=*"] {
        try bench.expectRefused(line, naming: "* alone stands for all")
      }
      for wrong in Array("/#?&$,;<>[]{}|^`\\= \u{e9}\u{1F600}") {
        let quoted = wrong == "\\" ? "\\\\" : String(wrong)
        try bench.expectRefused("HOLDER \"DEV\(quoted)\"")
        try bench.expectRefused("LOCK DEV \"a\(quoted)\"")
        try bench.expectRefused("LOCK DEV a req=\"1\(quoted)\"")
      }
      try bench.expectRefused("HOLDER DEV/current/current")
      try bench.expectUntouched()
    }

    @Test(arguments: [
      "0", "-1", "1e9", "12345678901234567890", "99999999999999999999999999999999", "", "+5", "5.0",
      "1.5s", "9ms", "1ms", "0s", "0ms", "0d", "3651d", "87601h", "315360001", "315360000001ms",
      "5w",
      "5y", "5S", "5M", "5MS", "5ss", "5sm", "s", "ms", "0x10", "1_000", "５s", "5s5", "5 s", "-5s",
      "9223372036854775807", "9223372036854775808ms", "18446744073709551616",
      "18446744073709551617ms",
      "213503982335d", "9223372036854775807d", "\"5 s\"", "\"\"", "inf", "nan", "null", "off",
      "5s,",
    ])
    func `a duration out of range or out of form is refused`(ttl: String) throws {
      let bench = try BadInputBench()
      let token = bench.grant.token
      try bench.expectRefused("LOCK DEV a ttl=\(ttl)", naming: ttl == "5 s" ? "" : "ttl")
      try bench.expectRefused("RENEW DEV a token=\(token) ttl=\(ttl)")
      try bench.expectRefused("SEIZE DEV b ttl=\(ttl)")
      try bench.expectRefused("HANDOFF DEV a b ttl=\(ttl)")
      try bench.expectUntouched()
    }

    @Test(arguments: [
      "9007199254740992", "9007199254740993", "12345678901234567890", "18446744073709551617", "-1",
      "",
      "1e3", "1.0", "0x1", "abc", "+1", "５", "9223372036854775807", "9223372036854775808", "1 ",
      "null",
      "99999999999999999999999999999999999999999",
    ])
    func `a token out of range or out of form is refused`(token: String) throws {
      let bench = try BadInputBench()
      try bench.expectRefused("LOCK DEV a token=\(token)", naming: token == "1 " ? "" : "token")
      try bench.expectRefused("RENEW DEV a token=\(token)")
      try bench.expectRefused("UNLOCK DEV a token=\(token)")
      try bench.expectRefused("HANDOFF DEV a b token=\(token)")
      try bench.expectUntouched()
    }

    // MARK: payloads

    @Test func `almost-JSON is rejected`() throws {
      let bench = try BadInputBench()
      #expect(PayloadCases.bad.count >= 60)
      for text in PayloadCases.bad {
        try bench.expectRefused("HANDOFF DEV a b \(text)")
      }
      try bench.expectUntouched()
    }

    @Test func `JSON is kept byte for byte`() throws {
      let bench = try BadInputBench()
      let (client, device) = (bench.client, bench.device)
      for text in PayloadCases.good {
        expect(try client.request("HANDOFF \(device) a b \(text)"), "OK", "", "\(text)")
        let holder = try client.request("HOLDER \(device)")
        #expect(holder.shows("note", as: text), "\(text): \(holder)")
        expect(try client.request("SEIZE \(device) a"), "OK")
      }
    }

    @Test func `a bad line among pipelined good ones costs only itself`() throws {
      var random = Seeded("bad lines among good ones")
      let bench = try BadInputBench()
      let bad = [
        "LOCK", "LOCK \(bench.device) a ttl=0", "HANDOFF \(bench.device) a b {", " PING",
        "HOLDER \u{7f}", "PING [", String(repeating: "x", count: 70_000),
      ]
      var stream = ""
      var wanted: [String] = []
      for _ in 0..<2_000 {
        let line = Bool.random(using: &random) ? "PING" : bad.randomElement(using: &random) ?? ""
        stream += line + "\n"
        wanted.append(line == "PING" ? "OK" : "ERR")
      }
      let lines = try bench.client.exchange(
        Array(stream.utf8), lines: wanted.count, within: .seconds(30))
      #expect(lines.map { Reply(raw: $0).word } == wanted)
      try bench.expectUntouched()
    }
  }
}
