// Owns: the tests of links that are made and replaced by options: `link.KIND=REF`.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--max-links", "4", "--max-user-sessions", "1"]])) struct LinkOptions {
    private func links(_ client: LineClient, _ address: String) throws -> String {
      let raw = try client.request("GET \(address)").raw
      return raw.firstMatch(of: /"links":(\{[^}]*\})/).map { String($0.1) } ?? raw
    }

    private func listed(_ client: LineClient, _ link: String) throws -> Int {
      try client.request("LIST \(link) count=yes").int("total")
    }

    @Test func `a session begins with the links of its options, in one request`() throws {
      let client = try Lab.current.connect()
      let (device, ref) = (Lab.device(), Lab.device("ref"))
      for (verb, rest) in [("OPEN", ""), ("RECOVER", ""), ("TURN", " {}")] {
        let of = "\(device).\(verb)"
        let line = "\(verb) \(of) link.tag=\(ref),b LINK.app=\"\(ref)\"\(rest)"
        expect(try client.request(line), "OK")
        #expect(try links(client, of) == "{\"tag\":[\"\(ref)\",\"b\"],\"app\":[\"\(ref)\"]}")
      }
      #expect(try listed(client, "tag=\(ref)") == 3 && listed(client, "app=\(ref) and.tag=b") == 3)
      let again = try client.request("RECOVER \(device).OPEN link.tag=c link.app=d name=x")
      #expect(again.shows("ignored", as: "[\"name\",\"link.tag\",\"link.app\"]"))
      let two = try client.request("OPEN \(device) link.user=\(ref).1,\(ref).2 req=r1")
      expect(two, "OK")
      #expect(
        try client.request("OPEN \(device) link.user=\(ref).1,\(ref).2 req=r1").raw == two.raw)
      expect(
        try client.request("OPEN \(device) link.user=\(ref).1,\(ref).3 req=r1"), "ERR", "conflict")
      expect(try client.request("OPEN \(device) link.user=\(ref).4,\(ref).2"), "ERR", "quota")
      #expect(try listed(client, "user=\(ref).4") == 0)
      expect(
        try client.request("OPEN \(device) link.user=\(ref).4 link.tag=1,2,3,4"), "ERR", "quota")
      expect(try client.request("OPEN \(device) link.user=\(ref).4 link.tag=1,2,3"), "OK")
    }

    @Test func `SET replaces all links of the kinds that it names`() throws {
      let client = try Lab.current.connect()
      let (device, ref) = (Lab.device(), Lab.device("ref"))
      expect(try client.request("OPEN \(device) link.tag=\(ref).1,\(ref).2 link.app=x"), "OK")
      let set = try client.request("SET \(device) link.tag=\(ref).3,\(ref).2 user=\(ref)")
      #expect(try set.int("rev") == 4)
      #expect(
        try links(client, device)
          == "{\"tag\":[\"\(ref).2\",\"\(ref).3\"],\"app\":[\"x\"],\"user\":[\"\(ref)\"]}")
      #expect(try client.request("SET \(device) link.tag=\(ref).2,\(ref).3").int("rev") == 4)
      for (tag, count) in [(1, 0), (2, 1), (3, 1)] {
        try eventually("tag \(tag) has \(count)", within: .seconds(5)) {
          try listed(client, "tag=\(ref).\(tag)") == count
        }
      }
      expect(try client.request("SET \(device) link.tag=1,2,3"), "ERR", "quota")
      expect(try client.request("SET \(device) link.user=\(ref).u {\"a\":1}"), "OK")
      #expect(try listed(client, "user=\(ref)") == 0 && listed(client, "user=\(ref).u") == 1)
      for line in [
        "OPEN \(device) link.tag=a,,b", "OPEN \(device) link.tag=,", "OPEN \(device) link.tag=a,a",
        "OPEN \(device) link.agent=x", "OPEN \(device) link.=x", "OPEN \(device) link.thread=x",
        "OPEN \(device) user=u link.user=u", "SET \(device) user=u link.user=v",
        "RECOVER \(device) link.user=u", "TURN \(device) link.user=u {}",
        "RECOVER \(device)/current link.tag=x", "SET \(device)/current/1 link.tag=x",
        "LIST \(device) and.tag=a,b", "TOUCH \(device) link.tag=x",
      ] { expectBadRequest(try client.request(line), "\(line)") }
    }
  }
}
