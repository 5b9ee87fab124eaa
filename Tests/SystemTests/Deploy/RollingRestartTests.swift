// A rolling restart of three workers behind HAProxy, under load: no request is lost.

import Foundation
import Glibc
import Testing

/// Callers as functions are: each connects, asks once and goes.
private final class OneShotLoad: Sendable {
  private let stopping = Shared(false)
  private let answered = Shared(0)
  private let threads: [Background<[String]>]

  /// Each request is a LOCK of a device of its own, so there is one right reply.
  init(threads count: Int, _ connect: @escaping @Sendable () throws -> LineClient) {
    threads = (0..<count).map { [stopping, answered] _ in
      Background {
        var wrong: [String] = []
        while !stopping.value {
          do {
            let reply = try connect().request("LOCK \(Lab.device("shot")) a", within: .seconds(30))
            if !reply.isOK { wrong.append(reply.raw) }
          } catch {
            wrong.append("\(error)")
          }
          answered.update { $0 += 1 }
          // A loop of connections would use up the ports of a fast machine.
          pause(ms: 1)
        }
        return wrong
      }
    }
  }

  deinit { stopping.value = true }

  func awaitAnswered(_ more: Int) throws {
    let wanted = answered.value + more
    try eventually("\(more) more answers", within: .seconds(30)) { answered.value >= wanted }
  }

  /// Ends it and gives all replies that were not OK, and all failures.
  func stop() throws -> [String] {
    stopping.value = true
    return try threads.flatMap { try $0.join() }
  }
}

extension SystemSuites.Deploy {
  @Suite struct RollingRestart {
    /// With LATCHKEY_TEST_CALLERS as many callers as that.
    private static let callers =
      ProcessInfo.processInfo.environment["LATCHKEY_TEST_CALLERS"].flatMap { Int($0) } ?? 60

    @Test func `busy callers that keep their connections are answered, each of them`() throws {
      let balancer = try Balancer(["--drain-delay", "3s", "--drain-grace", "2s"])
      defer { balancer.stop() }
      let port = balancer.port
      // Pauses that are longer than a connection has to be quiet, and that end at any moment.
      let busy = BusyCallers(Self.callers, pauseMs: 300) { try TestSocket(port: port) }
      try busy.awaitAnswered(10 * Self.callers)
      for index in 0..<3 {
        #expect(try balancer[index].terminate(within: .seconds(30)) == .exited(0))
        try balancer.restart(index)
        try balancer.awaitUp([true, true, true])
        try busy.awaitAnswered(5 * Self.callers)
      }
      let report = try busy.stop()
      #expect(report.unanswered == 0, "\(report)")
      #expect(report.refused == 0 && report.wrong.isEmpty, "\(report)")
      #expect(report.drainingAtFirst == 0, "\(report)")
      // Callers that are led to a worker which is replaced later meet a drain again.
      #expect(report.draining <= 3 * Self.callers, "\(report)")
      print("rolling restart, \(Self.callers) callers: \(report)")
    }

    @Test func `three workers are replaced under load, and no request is lost`() throws {
      let balancer = try Balancer(["--drain-delay", "3s", "--drain-grace", "1s"])
      defer { balancer.stop() }
      let shots = OneShotLoad(threads: 4) { try balancer.connect() }
      // A caller that stays connected may get `draining`, or be closed where it was quiet for
      // long; it asks again with the same req=, and the request is done once all the same.
      let device = Lab.device("kept")
      let isOver = Shared(false)
      defer { isOver.value = true }
      expect(try balancer.connect().request("LOCK \(device) a"), "OK")
      let kept = Background { () throws -> [Int] in
        var tokens: [Int] = []
        var client: LineClient?
        while !isOver.value {
          let line = "HANDOFF \(device) a a req=r\(tokens.count)"
          let connected = try client ?? balancer.connect()
          guard let reply = try? connected.request(line, within: .seconds(30)),
            reply.code != "draining"
          else {
            client = nil
            continue
          }
          client = connected
          tokens.append(try Grant(reply).token)
        }
        return tokens
      }
      try shots.awaitAnswered(100)
      for index in 0..<3 {
        #expect(try balancer[index].terminate(within: .seconds(30)) == .exited(0))
        try balancer.restart(index)
        try balancer.awaitUp([true, true, true])
        try shots.awaitAnswered(50)
      }
      isOver.value = true
      let wrong = try shots.stop()
      #expect(wrong.isEmpty, "\(wrong.count) requests lost, e.g. \(wrong.prefix(5))")
      let tokens = try kept.join()
      #expect(tokens.count > 3)
      #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
      // Each was done once: Redis has counted as many as were answered.
      let stats = try balancer.connect().request("STATS").json()
      #expect(stats.at("locks", "handed_off") == .int(tokens.count))
    }
  }
}
