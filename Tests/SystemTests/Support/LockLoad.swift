// Clients that take locks as fast as they can, and record the grants.

import Foundation
import Testing

/// A lock that the worker acknowledged.
struct Acknowledged: Sendable {
  let device: String
  let agent: String
  let token: Int
}

/// The result of a load.
struct LockLoadReport: Sendable {
  var acknowledged: [Acknowledged] = []
  /// How often each error code came.
  ///
  /// `refused` stands for a connection that was not made, `lost` for one that ended without the
  /// reply to a request.
  var codes: [String: Int] = [:]
  /// Replies that belong to another request, or that nothing explains.
  var wrong: [String] = []
  var slowestMs = 0.0

  mutating func add(_ other: LockLoadReport) {
    acknowledged += other.acknowledged
    codes.merge(other.codes) { $0 + $1 }
    wrong += other.wrong
    slowestMs = max(slowestMs, other.slowestMs)
  }
}

/// Threads that LOCK ever new devices until they are stopped, through faults and restarts.
final class LockLoad: Sendable {
  private let stopping = Shared(false)
  private let count = Shared(0)
  private let threads: [Background<LockLoadReport>]

  init(threads: Int = 4, _ connect: @escaping @Sendable () throws -> LineClient) {
    self.threads = (0..<threads).map { [stopping, count] index in
      Background { Self.run(index, stopping, count, connect) }
    }
  }

  deinit { stopping.value = true }

  /// Waits until that many more locks are acknowledged.
  func awaitAcknowledged(_ more: Int, within limit: Duration = .seconds(10)) throws {
    let wanted = count.value + more
    try eventually("\(more) more locks", within: limit) { count.value >= wanted }
  }

  func stop() throws -> LockLoadReport {
    stopping.value = true
    var report = LockLoadReport()
    for thread in threads { report.add(try thread.join()) }
    return report
  }

  private static func run(
    _ index: Int, _ stopping: Shared<Bool>, _ count: Shared<Int>,
    _ connect: @Sendable () throws -> LineClient
  ) -> LockLoadReport {
    var report = LockLoadReport()
    var number = 0
    let prefix = Lab.device("load")
    var client: LineClient?
    while !stopping.value {
      number += 1
      let (device, agent) = ("\(prefix)-\(number)", "agent\(index)-\(number)")
      guard let connected = try? client ?? connect() else {
        report.codes["refused", default: 0] += 1
        pause(ms: 5)
        continue
      }
      let start = ContinuousClock.now
      guard let reply = try? connected.request("LOCK \(device) \(agent)") else {
        report.codes["lost", default: 0] += 1
        client = nil
        continue
      }
      report.slowestMs = max(report.slowestMs, elapsedMs(since: start))
      take(reply, device, agent, count, &report)
      // A worker that drains sends its callers elsewhere.
      client = reply.code == "draining" ? nil : connected
    }
    return report
  }

  private static func take(
    _ reply: Reply, _ device: String, _ agent: String, _ count: Shared<Int>,
    _ report: inout LockLoadReport
  ) {
    if let grant = try? Grant(reply), grant.agent == agent, !grant.renewed {
      report.acknowledged.append(Acknowledged(device: device, agent: agent, token: grant.token))
      count.update { $0 += 1 }
    } else if reply.isOutage || reply.code == "draining" {
      report.codes[reply.code, default: 0] += 1
      pause(ms: 2)
    } else {
      report.wrong.append("\(agent): \(reply.raw)")
    }
  }
}

/// Expects that each lock is still held by its agent with its token.
func expectKept(
  _ locks: [Acknowledged], _ client: LineClient, at place: SourceLocation = #_sourceLocation
) throws {
  let lines = locks.map { "RENEW \($0.device) \($0.agent) token=\($0.token)\n" }.joined()
  let replies = try client.exchange(Array(lines.utf8), lines: locks.count, within: .seconds(30))
  let lost = zip(locks, replies).filter { lock, raw in
    !raw.hasPrefix("OK ") || !Reply(raw: raw).shows("token", as: "\(lock.token)")
  }
  #expect(
    lost.isEmpty, "\(lost.count) of \(locks.count) lost, e.g. \(lost.prefix(3))",
    sourceLocation: place)
}
