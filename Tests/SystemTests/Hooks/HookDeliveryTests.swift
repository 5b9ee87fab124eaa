// Owns: the tests of what webhooks deliver: every event, in the order of its device, signed, again
// until it is taken, and exactly what was missed after a worker has died.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct HookDeliveries {
    /// Workers that deliver, and a receiver.
    private func start(
      _ flags: [String] = [], workers: Int = 1
    ) throws -> (Lab, HookReceiver, LineClient) {
      let lab = try Lab(workers: Array(repeating: flags, count: workers))
      return (lab, try HookReceiver(), try lab.connect())
    }

    /// Has so many locks abandoned, each of a device of its own.
    private func abandon(_ client: LineClient, _ prefix: String, devices: Int) throws {
      for number in 0..<devices {
        expect(try client.request("LOCK \(prefix)-\(number) a ttl=10ms"), "OK")
      }
    }

    /// The ids of so many further abandonments, as a group of callers gets them.
    private func abandonments(_ client: LineClient, _ count: Int) throws -> Set<String> {
      var ids: Set<String> = []
      try eventually("\(count) abandonments in the logs", within: .seconds(20)) {
        let reply = try client.request("EVENTS * group=check limit=1000 types=lock.abandoned")
        guard case .array(let events)? = try reply.json()["events"] else { return false }
        ids.formUnion(events.compactMap { $0["id"]?.string })
        return ids.count >= count
      }
      return ids
    }

    private func figure(_ client: LineClient, _ name: String, of hook: String = "h") throws -> JSON?
    {
      guard case .array(let hooks)? = try client.request("HOOKS").json()["hooks"] else {
        return nil
      }
      return hooks.first { $0["name"]?.string == hook }?[name]
    }

    @Test func `each event is sent once, as a signed CloudEvent, and acknowledged`() throws {
      let (lab, receiver, client) = try start(["--http", "127.0.0.1:0"])
      defer {
        receiver.stop()
        lab.stop()
      }
      expect(
        try client.request(
          "HOOK h url=\(receiver.url)?k=planted secret=\"a secret\" devices=eu-* "
            + "types=lock.abandoned,lock.seized"), "OK")
      try abandon(client, "eu", devices: 3)
      try abandon(client, "us", devices: 1)
      expect(try client.request("LOCK eu-9 a"), "OK")
      expect(try client.request("SEIZE eu-9 b"), "OK")
      expect(try client.request("CLEAR eu-9"), "OK")
      try eventually("four events", within: .seconds(20)) { receiver.taken.count >= 4 }
      try eventually("all is acknowledged", within: .seconds(20)) {
        try figure(client, "lag")?.int == 0
      }
      #expect(Set(receiver.takenIDs).count == 4 && receiver.all.count == 4)
      for delivery in receiver.all {
        let event = try delivery.event
        #expect(event["specversion"]?.string == "1.0" && event["id"]?.string == delivery.id)
        #expect(event["subject"]?.string?.hasPrefix("eu-") == true)
        #expect(event["data"]?["id"]?.string == delivery.id)
        #expect(event["type"]?.string == event["data"]?["type"]?.string)
        #expect(delivery.headers["request"] == "POST /in?k=planted HTTP/1.1")
        #expect(
          delivery.headers["content-type"]?.hasPrefix("application/cloudevents+json") == true)
        try verify(delivery, "a secret")
      }
      #expect(try figure(client, "delivered")?.int == 4 || eventuallyDelivered(client, 4))
      #expect(try !client.request("HOOKS").raw.contains("planted"))
      #expect(!lab.worker.log.contains("planted"))
      #expect(
        try lab.worker.get("/metrics").body.contains("latchkey_hook_delivered_total{hook=\"h\"}"))
    }

    private func eventuallyDelivered(_ client: LineClient, _ count: Int) throws -> Bool {
      try eventually("delivered=\(count)") { try figure(client, "delivered")?.int == count }
      return true
    }

    /// By another implementation than the worker's.
    private func verify(_ delivery: ReceivedHook, _ secret: String) throws {
      let header = delivery.headers["latchkey-signature"] ?? ""
      let parts = header.split(separator: ",").map(String.init)
      let time = try #require(parts.first { $0.hasPrefix("t=") }).dropFirst(2)
      let value = try #require(parts.first { $0.hasPrefix("v1=") }).dropFirst(3)
      #expect(abs((Int(time) ?? 0) * 1_000 - nowUnixMs()) < 60_000)
      let made = try ProgramRun(
        command: ["/usr/bin/openssl", "dgst", "-sha256", "-hmac", secret],
        input: "\(time).\(delivery.body)")
      #expect(made.output.trimmingCharacters(in: .whitespacesAndNewlines).hasSuffix(value))
    }

    @Test func `what a receiver did not take comes again, in order, and a dead one holds up none`()
      throws
    {
      let (lab, receiver, client) = try start(["--hook-timeout", "300ms"])
      let dead = try HookReceiver(.hang)
      defer {
        dead.stop()
        receiver.stop()
        lab.stop()
      }
      expect(try client.request("HOOK dead url=\(dead.url) types=lock.abandoned"), "OK")
      expect(try client.request("HOOK h url=\(receiver.url) types=lock.abandoned"), "OK")
      // One device is refused three times, in as many ways; the others go on.
      let attempts = Shared(0)
      receiver.answer { delivery in
        guard delivery.body.contains("\"subject\":\"bad-0\"") else { return .status(200) }
        let number = attempts.update { count in
          count += 1
          return count
        }
        return [.status(500), .redirect("http://127.0.0.1:1/")][safe: number - 1] ?? .status(201)
      }
      for _ in 0..<2 {
        expect(try client.request("LOCK bad-0 a ttl=10ms"), "OK")
        try eventually("the lock has ended") { try client.request("HOLDER bad-0").raw == "NONE" }
      }
      try abandon(client, "good", devices: 5)
      let expected = try abandonments(client, 7)
      try eventually("the others have come", within: .seconds(3)) { receiver.taken.count >= 5 }
      #expect(receiver.taken.allSatisfy { !$0.body.contains("bad-0") })
      #expect(try figure(client, "state")?.string != nil)
      try eventually("all have come", within: .seconds(20)) { receiver.taken.count >= 7 }
      #expect(Set(receiver.takenIDs) == expected && receiver.taken.count == 7)
      let bad = receiver.all.filter { $0.body.contains("bad-0") }
      #expect(bad.map(\.status) == [500, 302, 201, 201])
      #expect(Set(bad.prefix(3).map(\.id)).count == 1 && bad[3].id > bad[2].id)
      // The other one has taken nothing, and says so; it gets all when it answers.
      #expect(dead.taken.isEmpty)
      try eventually("its failures are shown") {
        try (figure(client, "failed", of: "dead")?.int ?? 0) > 0
      }
      #expect(try (figure(client, "lag", of: "dead")?.int ?? 0) >= 7)
      dead.answer(.status(200))
      try eventually("it gets all", within: .seconds(30)) {
        Set(dead.takenIDs).isSuperset(of: expected)
      }
      expect(try client.request("UNHOOK dead"), "OK")
    }

    @Test func `after a worker has died exactly the missed events come, in order`() throws {
      let (lab, receiver, client) = try start(workers: 2)
      defer {
        receiver.stop()
        lab.stop()
      }
      expect(
        try client.request("HOOK h url=\(receiver.url) types=lock.abandoned,lock.cleared"), "OK")
      try abandon(client, "warm", devices: 8)
      var expected = try abandonments(client, 8)
      try eventually("both deliver", within: .seconds(20)) { Set(receiver.takenIDs) == expected }
      receiver.answer(.status(503))
      for _ in 0..<3 {
        try abandon(client, "d", devices: 40)
        expected.formUnion(try abandonments(client, 40))
      }
      let before = Set(receiver.takenIDs)
      lab.workers[1].kill()
      receiver.answer(.status(200))
      try eventually("all have come", within: .seconds(60)) {
        Set(receiver.takenIDs).isSuperset(of: expected)
      }
      #expect(Set(receiver.takenIDs) == expected)
      #expect(before.count == 8)
      // Each device in the order of its log; what was under way at the kill may come twice.
      var seen: [String: [String]] = [:]
      for delivery in receiver.taken {
        let device = try delivery.event["subject"]?.string ?? ""
        if seen[device]?.contains(delivery.id) != true {
          seen[device, default: []].append(delivery.id)
        }
      }
      for (device, ids) in seen { #expect(ids == ids.sorted(), "\(device)") }
      #expect(receiver.taken.count <= expected.count + 32)
    }

    @Test func `a drain gives back what is not sent, and a hook that ends sends no more`() throws {
      let (lab, receiver, client) = try start(["--hook-requests", "1"], workers: 2)
      defer {
        receiver.stop()
        lab.stop()
      }
      receiver.answer(.hang)
      expect(try client.request("HOOK h url=\(receiver.url) types=lock.abandoned"), "OK")
      try abandon(client, "d", devices: 30)
      let expected = try abandonments(client, 30)
      lab.workers[1].signal(SIGTERM)
      receiver.answer(.status(200))
      #expect(try lab.workers[1].wait(within: .seconds(15)) == .exited(0))
      try eventually("all have come", within: .seconds(20)) {
        Set(receiver.takenIDs) == expected
      }
      #expect(receiver.taken.count == 30, "nothing came twice")
      expect(try client.request("UNHOOK h"), "OK")
      try eventually("the worker knows it") {
        try !lab.worker.get("/metrics").body.contains("hook=\"h\"")
      }
      try abandon(client, "late", devices: 3)
      _ = try abandonments(client, 3)
      #expect(receiver.taken.count == 30)
      let groups = try lab.redis.command("XINFO", "GROUPS", "lk:{000}:events")
      #expect(!"\(groups)".contains("hook/"))
    }

    @Test func `a worker that was stopped sends nothing that another one has by then`() throws {
      let (lab, receiver, client) = try start(["--hook-requests", "1"], workers: 2)
      defer {
        receiver.stop()
        lab.stop()
      }
      let frozen = lab.workers[1]
      let held = { (worker: WorkerProcess) in
        let page = try worker.get("/metrics").body
        return !page.contains("latchkey_hook_held_events{hook=\"h\"} 0")
          && page.contains("latchkey_hook_held_events{hook=\"h\"}")
      }
      receiver.answer(.hang)
      expect(
        try client.request("HOOK h url=\(receiver.url) types=lock.seized,lock.cleared"), "OK")
      for number in 0..<40 {
        expect(try client.request("LOCK d-\(number) a"), "OK")
        expect(try client.request("SEIZE d-\(number) b"), "OK")
        expect(try client.request("CLEAR d-\(number)"), "OK")
      }
      try eventually("both hold events", within: .seconds(10)) {
        try held(lab.workers[0]) && held(frozen)
      }
      // Its request stays open: the receiver takes the event while the worker cannot know.
      frozen.signal(SIGSTOP)
      receiver.answer(.status(200))
      try eventually("the other one has sent all", within: .seconds(20)) {
        Set(receiver.takenIDs).count == 80
      }
      try eventually("and acknowledged it") { try figure(client, "lag")?.int == 0 }
      let before = receiver.taken.count
      frozen.signal(SIGCONT)
      try eventually("it knows that it holds nothing", within: .seconds(10)) { try !held(frozen) }
      #expect(receiver.taken.count == before && before <= 82, "one of each was under way")
      var seen: [String: [String]] = [:]
      for delivery in receiver.taken {
        let device = try delivery.event["subject"]?.string ?? ""
        if seen[device]?.contains(delivery.id) != true {
          seen[device, default: []].append(delivery.id)
        }
      }
      #expect(seen.count == 40)
      for (device, ids) in seen { #expect(ids.count == 2 && ids == ids.sorted(), "\(device)") }
      // What is new comes once, by whichever worker has the partition now.
      for number in 0..<40 {
        expect(try client.request("LOCK e-\(number) a"), "OK")
        expect(try client.request("SEIZE e-\(number) b"), "OK")
      }
      try eventually("the new ones have come", within: .seconds(10)) {
        Set(receiver.takenIDs).count == 120
      }
      #expect(receiver.taken.count == before + 40)
    }
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
