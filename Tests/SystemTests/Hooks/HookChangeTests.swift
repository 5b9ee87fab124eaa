// Owns: the tests of what a change of a hook does to events: from its reply on the new definition
// chooses them, whatever the workers have known before.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct HookChanges {
    private static let devices = 20

    /// Has each device's lock seized, or cleared; returns the ids of these events.
    private func end(
      _ client: LineClient, by type: String, group: inout Set<String>
    ) throws -> Set<String> {
      for number in 0..<Self.devices where type == "lock.seized" {
        _ = try client.request("CLEAR d-\(number)")
        expect(try client.request("LOCK d-\(number) a"), "OK")
        expect(try client.request("SEIZE d-\(number) b"), "OK")
      }
      for number in 0..<Self.devices where type == "lock.cleared" {
        expect(try client.request("CLEAR d-\(number)"), "OK")
      }
      var ids: Set<String> = []
      try eventually("the events are in the logs") {
        let reply = try client.request("EVENTS * group=check limit=1000 types=\(type)")
        guard case .array(let events)? = try reply.json()["events"] else { return false }
        ids.formUnion(events.compactMap { $0["id"]?.string })
        ids.subtract(group)
        return ids.count == Self.devices
      }
      group.formUnion(ids)
      return ids
    }

    /// The ids of the events that the address of a round has got.
    private func taken(_ receiver: HookReceiver, round: Int) -> Set<String> {
      let path = "POST /in?n=\(round) HTTP/1.1"
      return Set(receiver.taken.lazy.filter { $0.headers["request"] == path }.map(\.id))
    }

    @Test func `from its reply on a new definition chooses events, and they go to its address`()
      throws
    {
      let lab = try Lab(workers: [[], []])
      let (client, receiver) = (try lab.connect(), try HookReceiver())
      defer {
        receiver.stop()
        lab.stop()
      }
      var known: Set<String> = []
      var kept: [RedisValue] = []
      for (round, type) in ["lock.seized", "lock.cleared", "lock.seized"].enumerated() {
        // One round is of a hook that was removed and made anew: it begins with the oldest event.
        if round == 2 { expect(try client.request("UNHOOK h"), "OK") }
        expect(try client.request("HOOK h url=\(receiver.url)?n=\(round) types=\(type)"), "OK")
        kept.append(try lab.redis.command("HGET", "lk:{000}:hooks", "h"))
        let ids = try end(client, by: type, group: &known)
        try eventually("round \(round) is with its address", within: .seconds(10)) {
          taken(receiver, round: round).isSuperset(of: ids)
        }
      }
      #expect(taken(receiver, round: 0).count == Self.devices)
      #expect(taken(receiver, round: 1).count == Self.devices)
      #expect(taken(receiver, round: 2).count == 2 * Self.devices)
      // Redis has lost a definition, and the logs of other nodes have not.
      expect(try client.request("HOOK h url=\(receiver.url)?n=3 types=turn.abandoned"), "OK")
      try lab.redis.command("HSET", "lk:{000}:hooks", "h", try #require(kept[2].string))
      let ids = try end(client, by: "lock.seized", group: &known)
      try eventually("the former definition is at work", within: .seconds(10)) {
        taken(receiver, round: 2).isSuperset(of: ids)
      }
    }
  }
}
