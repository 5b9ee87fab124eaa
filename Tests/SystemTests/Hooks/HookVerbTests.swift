// Owns: the tests of HOOK, HOOKS and UNHOOK as verbs: what they take, keep and show.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [SealKeysFile.ofLab.flags, []])) struct HookVerbs {
    /// Where nothing listens.
    private static let url = "http://ada:pass@127.0.0.1:9/in?token=planted"

    private func hooks(_ client: LineClient) throws -> [JSON] {
      guard case .array(let hooks)? = try client.request("HOOKS").json()["hooks"] else {
        throw Failure("HOOKS has no list")
      }
      return hooks
    }

    @Test func `a hook is kept, shown without its secrets, replaced and removed`() throws {
      let client = try Lab.current.connect()
      let name = Lab.device("hook")
      expect(
        try client.request(
          "HOOK \(name) url=\"\(Self.url)\" secret=\"planted secret\" types=lock.seized "
            + "devices=eu-*"),
        "OK")
      let shown = try client.request("HOOKS").raw
      #expect(shown.contains("\"name\":\"\(name)\",\"url\":\"http://127.0.0.1:9/in?"))
      #expect(shown.contains("\"types\":[\"lock.seized\"],\"devices\":\"eu-*\",\"signed\":true"))
      // Sealed, it is nowhere in Redis either.
      let kept = "\(try Lab.current.redis.command("HGETALL", "lk:{000}:hooks"))"
      for text in [shown, kept, try Lab.current.worker.log] {
        for secret in ["pass", "planted"] { #expect(!text.contains(secret), "\(secret)") }
      }
      // A worker without the key shows it all the same.
      let other = try Lab.current.connect(1).request("HOOKS").raw
      #expect(other.contains("\"signed\":true,\"state\":\"damaged\""))
      expect(try client.request("HOOK \(name) url=http://127.0.0.1:9/"), "OK")
      #expect(try client.request("HOOKS").raw.contains("\"devices\":null,\"signed\":false"))
      let groups = "\(try Lab.current.redis.command("XINFO", "GROUPS", "lk:{0a3}:events"))"
      #expect(groups.contains("hook/\(name)"))
      expect(try client.request("UNHOOK \(name)"), "OK")
      expect(try client.request("UNHOOK \(name)"), "NONE")
      #expect(try !client.request("HOOKS").raw.contains(name))
      for partition in ["000", "0a3", "0ff"] {
        let groups = try Lab.current.redis.command("XINFO", "GROUPS", "lk:{\(partition)}:events")
        #expect(!"\(groups)".contains(name))
      }
    }

    @Test func `what is no address, no pattern or no type is refused`() throws {
      let client = try Lab.current.connect()
      expectBadRequest(try client.request("HOOK h"), naming: "url=")
      for url in ["ftp://planted.example/", "planted", "http://", "\"http://a b\""] {
        let reply = try client.request("HOOK h url=\(url)")
        expectBadRequest(reply, naming: "url=")
        #expect(!reply.raw.contains("planted"))
      }
      let valid = "url=http://127.0.0.1:9/"
      expectBadRequest(try client.request("HOOK h \(valid) devices=a{"), naming: "devices=")
      expectBadRequest(try client.request("HOOK h \(valid) types=lock.taken"), naming: "types=")
      expectBadRequest(try client.request("HOOK a/b \(valid)"), naming: "name")
      #expect(try !client.request("HOOKS").raw.contains("\"h\""))
    }

    @Test func `there are sixteen hooks at most`() throws {
      let client = try Lab.current.connect()
      let free = try 16 - hooks(client).count
      for number in 0..<free {
        expect(try client.request("HOOK q-\(number) url=http://127.0.0.1:9/"), "OK")
      }
      let more = try client.request("HOOK q-more url=http://127.0.0.1:9/")
      expect(more, "ERR", "quota")
      #expect(more.raw.contains("16 of 16"))
      // One that is there already may be replaced.
      expect(try client.request("HOOK q-0 url=http://127.0.0.1:9/other"), "OK")
      for number in 0..<free { expect(try client.request("UNHOOK q-\(number)"), "OK") }
    }
  }
}
