// Owns: clients that change the locks of a few devices at random, through every fault, and record
// their calls and the replies.

import Foundation
import struct TestSupport.Seeded

/// Client threads that call the workers at random until they are stopped.
final class ChaosWorkload: Sendable {
  struct Plan: Sendable {
    var devices: [String] = []
    var agents = 4
    var threads = 6
    /// The shortest and the longest TTL; short ones, so that many locks expire.
    var ttlMs = 20...250
    /// How long a client thinks between its calls.
    var pauseMs = 0...3
    /// How often each verb comes.
    var weights: [Change: Int] = [
      .lock: 44, .renew: 24, .unlock: 14, .handoff: 10, .seize: 5, .clear: 3,
    ]
    /// How many of a hundred calls carry a request id.
    var reqPercent = 30
    /// A client waits longer than a worker may take.
    var patience = Duration.milliseconds(900)

    static func devices(_ count: Int) -> Plan {
      Plan(devices: (0..<count).map { _ in Lab.device("chaos") })
    }
  }

  /// The clients' view of a lock's holder, which may be out of date.
  struct Holding: Sendable {
    var agent: String
    var token: Int
  }

  let plan: Plan
  private let stopping = Shared(false)
  private let count = Shared(0)
  private let renewed = Shared(0)
  private let unknown = Shared(0)
  private let threads: [Background<[CallRecord]>]

  /// `connect` gets the number of the thread, and how often it has connected before.
  init(
    _ plan: Plan, _ purpose: String,
    _ connect: @escaping @Sendable (Int, Int) throws -> LineClient
  ) {
    self.plan = plan
    var random = Seeded(purpose)
    let holdings = Shared<[String: Holding]>([:])
    let sources = (0..<plan.threads).map { _ in random.fork() }
    threads = sources.enumerated().map { [stopping, count, renewed, unknown] index, source in
      Background {
        let client = ChaosClient(index, plan, source, holdings) { try connect(index, $0) }
        while !stopping.value {
          let before = (client.doneCount, client.unknownCount, client.renewedCount)
          client.turn()
          let (done, lost) = (client.doneCount - before.0, client.unknownCount - before.1)
          let again = client.renewedCount - before.2
          if done > 0 { count.update { $0 += done } }
          if again > 0 { renewed.update { $0 += again } }
          if lost > 0 { unknown.update { $0 += lost } }
        }
        return client.calls
      }
    }
  }

  deinit { stopping.value = true }

  /// How many calls have an unknown outcome.
  var unknownCount: Int { unknown.value }

  /// Waits until that many more changes have been acknowledged.
  func awaitDone(_ more: Int, within limit: Duration = .seconds(20)) throws {
    let wanted = count.value + more
    try eventually("\(more) more changes", within: limit) { count.value >= wanted }
  }

  /// Waits until that many more renewals have been acknowledged.
  func awaitRenewed(_ more: Int, within limit: Duration = .seconds(60)) throws {
    let wanted = renewed.value + more
    try eventually("\(more) more renewals", within: limit) { renewed.value >= wanted }
  }

  /// Ends the clients, each after its present call, and gives their calls.
  func stop() throws -> [CallRecord] {
    stopping.value = true
    return try threads.flatMap { try $0.join() }
  }
}

/// One client; belongs to its thread.
private final class ChaosClient {
  private let index: Int
  private let plan: ChaosWorkload.Plan
  private let holdings: Shared<[String: ChaosWorkload.Holding]>
  private let connect: (Int) throws -> LineClient
  private var random: Seeded
  private var client: LineClient?
  private var connections = 0
  private(set) var calls: [CallRecord] = []
  private(set) var unknownCount = 0
  private(set) var doneCount = 0
  private(set) var renewedCount = 0

  init(
    _ index: Int, _ plan: ChaosWorkload.Plan, _ random: Seeded,
    _ holdings: Shared<[String: ChaosWorkload.Holding]>,
    _ connect: @escaping (Int) throws -> LineClient
  ) {
    self.index = index
    self.plan = plan
    self.holdings = holdings
    self.connect = connect
    self.random = random
  }

  /// Makes one change, and tries again with the same id if its outcome is unknown and it has one.
  func turn() {
    guard var call = draw() else { return }
    for _ in 0..<4 {
      guard let client = connected() else { break }
      make(&call, client)
      guard call.outcome == .unknown, call.req != nil else { break }
    }
    let thinking = Int.random(in: plan.pauseMs, using: &random)
    if thinking > 0 { pause(ms: UInt32(thinking)) }
  }

  private func connected() -> LineClient? {
    if client == nil {
      client = try? connect(connections)
      connections += 1
      if client == nil { pause(ms: 5) }
    }
    return client
  }

  /// Draws the next call from those that seem possible.
  private func draw() -> CallRecord? {
    guard let device = plan.devices.randomElement(using: &random) else { return nil }
    let known = holdings.value[device]
    let stranger = "agent\(Int.random(in: 0..<plan.agents, using: &random))"
    var call = CallRecord(process: index, verb: drawVerb(), device: device)
    call.ttlMs = Int.random(in: plan.ttlMs, using: &random)
    // One in five comes from an agent that does not hold the lock.
    let actsAsHolder = Int.random(in: 0..<5, using: &random) > 0
    let agent = actsAsHolder ? known?.agent ?? stranger : stranger
    let sendsToken = Int.random(in: 0..<2, using: &random) == 0
    switch call.verb {
    case .lock: call.agent = Bool.random(using: &random) ? agent : stranger
    case .renew:
      guard let known else { return nil }
      call.agent = agent
      call.token = known.token
    case .unlock:
      call.agent = agent
      if sendsToken { call.token = known?.token }
    case .handoff:
      call.agent = agent
      call.receiver = stranger
      if sendsToken { call.token = known?.token }
    case .seize: call.agent = stranger
    case .clear: break
    }
    if Int.random(in: 0..<100, using: &random) < plan.reqPercent, ![.renew].contains(call.verb) {
      call.req = "r\(index).\(calls.count)"
    }
    return call
  }

  private func drawVerb() -> Change {
    var left = Int.random(in: 0..<plan.weights.values.reduce(0, +), using: &random)
    for verb in Change.allCases {
      left -= plan.weights[verb] ?? 0
      if left < 0 { return verb }
    }
    return .lock
  }

  private func make(_ call: inout CallRecord, _ client: LineClient) {
    call.number = calls.count
    call.invokedUs = nowUnixUs()
    let reply = try? client.request(call.line, within: plan.patience)
    call.returnedUs = nowUnixUs()
    call.outcome = reply.map { CallOutcome($0) } ?? .unknown
    // A late reply would be taken for the reply to the next call.
    if reply == nil || reply?.code == "draining" { self.client = nil }
    if call.outcome == .unknown { unknownCount += 1 }
    if call.confirmed != nil { doneCount += 1 }
    if call.confirmed?.renewed == true { renewedCount += 1 }
    if let confirmed = call.confirmed, let token = confirmed.token, let agent = confirmed.agent {
      let (device, holding) = (call.device, ChaosWorkload.Holding(agent: agent, token: token))
      holdings.update { $0[device] = holding }
    }
    calls.append(call)
  }
}

extension CallRecord {
  /// The request as it goes over the wire.
  var line: String {
    var words = [verb.rawValue, device]
    if verb != .clear { words.append(agent) }
    if let receiver { words.append(receiver) }
    if let token { words.append("token=\(token)") }
    if grantee != nil || verb == .renew { words.append("ttl=\(ttlMs)ms") }
    if let req { words.append("req=\(req)") }
    return words.joined(separator: " ")
  }
}

extension CallOutcome {
  /// The outcome of the call that a reply answers.
  init(_ reply: Reply) {
    switch reply.word {
    case "OK":
      guard let members = try? EventRecord.members(reply.raw.dropFirst(3)) else {
        self = .unknown
        return
      }
      self = .ok(
        Confirmed(
          agent: members["agent"] as? String, token: members["token"] as? Int,
          ttlMs: members["ttl_ms"] as? Int, acquiredAt: members["acquired_at"] as? Int,
          renewed: members["renewed"] as? Bool, heldMs: members["held_ms"] as? Int,
          seizedFrom: members["seized_from"] as? String))
    case "HELD", "NONE", "STALE": self = .fail
    default:
      // Only what says that nothing was done is believed; a bug may have done anything.
      let nothingDone = ["unavailable", "overloaded", "draining", "bad_request", "quota"]
      self = nothingDone.contains(reply.code) ? .fail : .unknown
    }
  }
}
