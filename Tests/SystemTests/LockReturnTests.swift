// Section 5 of the contract, 'return=': a lock that goes back at its end.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct LockReturns {
    private func client() throws -> LineClient { try Lab.current.connect() }

    private func logged(_ device: String, _ client: LineClient) throws -> [JSON] {
      guard case .array(let events)? = try client.request("EVENTS \(device)").json()["events"]
      else {
        throw Failure("no events")
      }
      return events
    }

    /// A has lent its lock to b: the tokens of both.
    private func lend(
      _ device: String, _ rest: String, _ client: LineClient
    ) throws -> (a: Grant, b: Grant) {
      let a = try Grant(client.request("LOCK \(device) a ttl=1h"))
      return (a, try Grant(client.request("HANDOFF \(device) a b \(rest)")))
    }

    @Test func `an UNLOCK gives the lock back, for the length of the return`() throws {
      let (client, device) = (try client(), Lab.device())
      let lent = try lend(device, "return=10m {\"n\":1}", client)
      let holder = try client.request("HOLDER \(device)")
      #expect(try holder.string("agent") == "b" && holder.string("returns_to") == "a")
      #expect(holder.shows("note", as: "{\"n\":1}"))
      expect(try client.request("UNLOCK \(device) b token=\(lent.b.token)"), "OK")
      let back = try client.request("HOLDER \(device)")
      #expect(try back.string("agent") == "a" && back.json()["returns_to"] == nil)
      #expect(try back.json()["note"] == nil)
      expect(try client.request("LOCK \(device) b"), "HELD")
      expect(try client.request("UNLOCK \(device) a token=\(lent.a.token)"), "STALE")
      let grant = try Grant(client.request("LOCK \(device) a"))
      #expect(grant.renewed && grant.token > lent.b.token && grant.ttlMs == 600_000)
      expect(try client.request("UNLOCK \(device) a token=\(grant.token)"), "OK")
      expect(try client.request("HOLDER \(device)"), "NONE")
      let events = try logged(device, client)
      #expect(events.map { $0["type"]?.string } == ["lock.handed_off", "lock.returned"])
      let returned = events.last
      #expect(returned?["agent"]?.string == "b" && returned?["to"]?.string == "a")
      #expect(returned?["token"]?.int == lent.b.token)
    }

    @Test func `a lock that expires goes back once, and is then its agent's until it expires`()
      throws
    {
      let (client, device) = (try client(), Lab.device())
      let lent = try lend(device, "ttl=300ms return=500ms", client)
      try eventually("the end of the returned lock") { try logged(device, client).count == 3 }
      let events = try logged(device, client)
      #expect(
        events.map { $0["type"]?.string } == [
          "lock.handed_off", "lock.returned", "lock.abandoned",
        ])
      #expect(events[1]["at"]?.int == lent.b.acquiredAt + 300)
      #expect(events[2]["agent"]?.string == "a" && events[2]["token"]?.int ?? 0 > lent.b.token)
      expect(try client.request("RENEW \(device) b token=\(lent.b.token)"), "NONE")
    }

    @Test func `a further HANDOFF keeps the return, unless it has its own`() throws {
      let (client, device) = (try client(), Lab.device())
      _ = try lend(device, "return=10m", client)
      expect(try client.request("HANDOFF \(device) b c {\"n\":2}"), "OK")
      #expect(try client.request("HOLDER \(device)").string("returns_to") == "a")
      expect(try client.request("HANDOFF \(device) c d return=5m"), "OK")
      #expect(try client.request("HOLDER \(device)").string("returns_to") == "c")
      expect(try client.request("UNLOCK \(device) d"), "OK")
      #expect(try client.request("HOLDER \(device)").string("agent") == "c")
      expect(try client.request("UNLOCK \(device) c"), "OK")
      expect(try client.request("HOLDER \(device)"), "NONE")
    }

    @Test(arguments: [("SEIZE {d} z", "z"), ("CLEAR {d}", nil)] as [(String, String?)])
    func `a lock that is taken away goes back no more`(line: String, holder: String?) throws {
      let (client, device) = (try client(), Lab.device())
      _ = try lend(device, "return=10m", client)
      expect(try client.request(line.replacing("{d}", with: device)), "OK")
      if let holder {
        #expect(try client.request("HOLDER \(device)").json()["returns_to"] == nil)
        expect(try client.request("UNLOCK \(device) \(holder)"), "OK")
      }
      expect(try client.request("HOLDER \(device)"), "NONE")
      #expect(try !logged(device, client).contains { $0["type"]?.string == "lock.returned" })
    }

    @Test func `renewals keep the return, and callers wait on while the lock goes back`() throws {
      let (client, device) = (try client(), Lab.device())
      let lent = try lend(device, "ttl=1h return=10m", client)
      expect(try client.request("RENEW \(device) b token=\(lent.b.token) ttl=2h"), "OK")
      #expect(try client.request("HOLDER \(device)").string("returns_to") == "a")
      let waiting = try Lab.current.connect(1)
      try waiting.sendLine("LOCK \(device) c wait=20s")
      try eventually("it waits") { try client.request("HOLDER \(device)").int("waiting") == 1 }
      expect(try client.request("UNLOCK \(device) b"), "OK")
      let holder = try client.request("HOLDER \(device)")
      #expect(try holder.string("agent") == "a" && holder.int("waiting") == 1)
      expect(try client.request("UNLOCK \(device) a"), "OK")
      #expect(try Grant(waiting.reply()).agent == "c")
    }

    @Test func `STATS counts returns, and no lock twice`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let (client, device) = (try lab.connect(), Lab.device())
      _ = try lend(device, "return=10m", client)
      expect(try client.request("UNLOCK \(device) b"), "OK")
      var locks = try client.request("STATS").json()["locks"]
      #expect(locks?["returned"]?.int == 1 && locks?["handed_off"]?.int == 1)
      #expect(locks?["held"]?.int == 1 && locks?["acquired"]?.int == 1)
      #expect(locks?["released"]?.int == 0)
      expect(try client.request("UNLOCK \(device) a"), "OK")
      locks = try client.request("STATS").json()["locks"]
      #expect(locks?["released"]?.int == 1 && locks?["held"]?.int == 0)
      expectBadRequest(try client.request("HANDOFF \(device) a b return=0s"), naming: "return=")
    }
  }
}
