// The clocks of sessions against a model of them: which events there are, and at which moments.

import Foundation
import Testing
import struct TestSupport.Seeded

extension SystemSuites {
  /// Without the sweep, which would write missing events within seconds.
  @Suite(.lab(workers: [["--sweep", "10m"], ["--sweep", "10m"]])) struct SessionClocks {
    /// One session with random clocks, and the requests for it.
    private struct Trial {
      let address: String
      let clocks: ModelClocks
      let openedAtMs: Int
      var acts: [ModelCourse.Act] = []

      var device: String { String(address.prefix { $0 != "/" }) }
    }

    @Test func `any set of clocks acts as in the model, at the model's moments`() throws {
      var random = Seeded("clocks of sessions")
      let lab = try Lab.current
      let clients = [try lab.connect(0), try lab.connect(1)]
      var trials: [Trial] = []
      for _ in 0..<60 {
        trials.append(try open(on: clients.randomElement(using: &random) ?? clients[0], &random))
        for _ in 0..<3 {
          guard let at = trials.indices.randomElement(using: &random) else { break }
          try act(on: &trials[at], clients.randomElement(using: &random) ?? clients[0], &random)
        }
      }
      for trial in trials { try check(trial, on: clients[0]) }
    }

    private func open(on client: LineClient, _ random: inout Seeded) throws -> Trial {
      func pick(_ most: Int) -> Int { Int.random(in: 0...most, using: &random) * 20 }
      var clocks = ModelClocks()
      (clocks.idle, clocks.abandon, clocks.life) = (pick(8), pick(16), pick(24))
      (clocks.archive, clocks.warn, clocks.keep) = (pick(6), pick(3), 3_600_000)
      let device = Lab.device()
      let options = [
        ("idle", clocks.idle), ("abandon", clocks.abandon), ("life", clocks.life),
        ("archive", clocks.archive), ("warn", clocks.warn), ("keep", clocks.keep),
      ].map { name, ms in "\(name)=\(ms)\(ms == 0 ? "" : "ms")" }
      let opened = try client.request("OPEN \(device) \(options.joined(separator: " "))")
      return Trial(
        address: "\(device)/\(try opened.string("session"))", clocks: clocks,
        openedAtMs: try opened.int("created_at"))
    }

    /// Sends a random request; a rejected one has changed nothing.
    private func act(on trial: inout Trial, _ client: LineClient, _ random: inout Seeded) throws {
      let verb = ["TOUCH", "RESUME", "RECOVER"].randomElement(using: &random) ?? "TOUCH"
      let reply = try client.request("\(verb) \(trial.address)")
      guard reply.isOK else {
        expect(reply, "ERR", "illegal_state")
        return
      }
      let shown = verb == "TOUCH" ? try client.request("GET \(trial.address)") : reply
      trial.acts.append(.init(verb: verb, atMs: try shown.int("active_at")))
    }

    private func check(_ trial: Trial, on client: LineClient) throws {
      var course = ModelCourse(trial.clocks, openedAtMs: trial.openedAtMs)
      for act in trial.acts {
        let isAllowed = course.act(act)
        #expect(isAllowed, "\(act) was allowed to \(trial)")
      }
      course.run(untilMs: .max)
      let wanted = course.events.map { "\($0.type) \($0.atMs - trial.openedAtMs)" }
      var logged: [String] = []
      // The clocks' last transition may still be ahead.
      let isThere: () throws -> Bool = {
        let log = try client.request("EVENTS \(trial.device)").json()
        guard case .array(let events)? = log["events"] else { return false }
        logged = events.map { event in
          "\(event["type"]?.string ?? "") \((event["at"]?.int ?? 0) - trial.openedAtMs)"
        }
        return logged.count >= wanted.count
      }
      try? eventually("\(wanted.count) events", within: .seconds(10), until: isThere)
      #expect(logged == wanted, "\(trial)")
      let record = try client.request("GET \(trial.address)")
      #expect(try record.string("state") == course.state, "\(trial)")
    }

    @Test func `a deadline is met though the reap that it asked for overtakes the change`() throws {
      let client = try Lab.current.connect()
      for _ in 0..<15 {
        let device = Lab.device()
        expect(try client.request("OPEN \(device) idle=10ms warn=0 {}"), "OK")
        for _ in 0..<2 {
          try eventually("\(device) is paused", within: .seconds(10)) {
            try client.request("GET \(device)").string("state") == "paused"
          }
          expect(try client.request("RESUME \(device)"), "OK")
        }
      }
    }
  }
}
