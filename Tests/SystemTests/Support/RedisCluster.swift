// A real Redis Cluster on loopback, with the faults that a test can do to it.

import Foundation
import Glibc
import TestSupport

/// Some masters with the slots among them, replicas if asked for, and spare nodes without slots.
final class RedisCluster: Sendable {
  let nodes: [RedisServer]
  let masters: Int
  static let slots = 16_384
  /// The ports by which the nodes are known.
  private let ports: [Int]
  /// Those of its nodes, where it is reached by TLS.
  private let certificates: Certificates?

  /// With `replicas` each master has one; `spares` are nodes that have nothing yet.
  init(
    masters: Int = 3, replicas: Bool = false, spares: Int = 0, timeoutMs: Int = 1_000,
    appendOnly: Bool = false, certificates: Certificates? = nil
  ) throws {
    self.masters = masters
    self.certificates = certificates
    try certificates?.make("redis", for: "IP:127.0.0.1")
    let count = masters * (replicas ? 2 : 1) + spares
    let secure = try (0..<count).map { _ in certificates == nil ? 0 : try TestSocket.freePort() }
    nodes = try (0..<count).map { number in
      let plain = try RedisCluster.port()
      var extra = [
        "--cluster-enabled", "yes", "--cluster-node-timeout", "\(timeoutMs)",
        "--cluster-require-full-coverage", "no", "--notify-keyspace-events", "Ex",
        "--repl-diskless-sync-delay", "0",
      ]
      if Engine.hasFunctions { extra += ["--cluster-port", "\(try TestSocket.freePort())"] }
      if let path = certificates?.path {
        extra += [
          "--tls-port", "\(secure[number])", "--tls-cert-file", path("redis.pem"),
          "--tls-key-file", path("redis.key"), "--tls-ca-cert-file", path("authority.pem"),
          "--tls-auth-clients", "no", "--tls-cluster", "yes", "--tls-replication", "yes",
        ]
      }
      return try RedisServer(
        .init(appendOnly: appendOnly, listens: true, port: plain, extra: extra))
    }
    ports = certificates == nil ? nodes.map(\.port) : secure
    for (number, node) in nodes.enumerated() {
      try node.command("CLUSTER", "SET-CONFIG-EPOCH", "\(number + 1)")
      if number < masters { try addSlots(RedisCluster.range(number, of: masters), to: node) }
    }
    for node in nodes.dropFirst() { try meet(node) }
    try eventually("a cluster that is whole", within: .seconds(20)) {
      try nodes.allSatisfy { try knows($0, count) }
    }
    guard replicas else { return }
    for number in 0..<masters { try follow(nodes[number], by: nodes[masters + number]) }
    try awaitReplicas((0..<masters).map { nodes[masters + $0] })
  }

  /// Waits until these have their masters' data, and every node sees them so.
  func awaitReplicas(_ replicas: [RedisServer]) throws {
    try eventually("replicas in step", within: .seconds(20)) {
      try replicas.allSatisfy { try isInStep($0) }
        && nodes.allSatisfy { try slaves(seenBy: $0) == masters && listed(by: $0) == 2 * masters }
    }
  }

  /// How many nodes one names to clients; a replica only once it is known to have something.
  private func listed(by node: RedisServer) throws -> Int {
    let ranges = try node.command("CLUSTER", "SLOTS").items
    return Set(ranges.flatMap { $0.items.dropFirst(2).compactMap { $0.items[1].number } }).count
  }

  /// A free port; before Redis 7 the bus has the port 10,000 above it.
  private static func port() throws -> Int {
    for _ in 0..<100 {
      let port = try TestSocket.freePort()
      if try Engine.hasFunctions || TestSocket.isFree(port + 10_000) { return port }
    }
    throw Failure("no free port for the bus of a cluster")
  }

  private func addSlots(_ range: ClosedRange<Int>, to node: RedisServer) throws {
    let words =
      Engine.hasFunctions
      ? ["ADDSLOTSRANGE", "\(range.lowerBound)", "\(range.upperBound)"]
      : ["ADDSLOTS"] + range.map(String.init)
    let value = try RedisClient(path: node.path).command(["CLUSTER"] + words)
    if case .error(let text) = value { throw Failure("redis: \(words[0]): \(text)") }
  }

  /// Has a node become a replica of another one.
  func follow(_ master: RedisServer, by replica: RedisServer) throws {
    try replica.command("CLUSTER", "REPLICATE", id(of: master))
  }

  /// Whether a replica has its master's data.
  func isInStep(_ replica: RedisServer) throws -> Bool {
    let info = try replica.command("INFO", "replication").string ?? ""
    return info.contains("role:slave") && info.contains("master_link_status:up")
  }

  /// The port by which a node is known.
  func port(of node: RedisServer) -> Int {
    zip(nodes, ports).first { $0.0 === node }?.1 ?? node.port
  }

  deinit { stop() }

  func stop() { nodes.forEach { $0.stop() } }

  private static func range(_ number: Int, of masters: Int) -> ClosedRange<Int> {
    number * slots / masters...(number + 1) * slots / masters - 1
  }

  private func meet(_ node: RedisServer) throws {
    let known = "\(port(of: node))"
    guard Engine.hasFunctions else {
      try nodes[0].command("CLUSTER", "MEET", "127.0.0.1", known)
      return
    }
    let bus = try node.command("CONFIG", "GET", "cluster-port").items[1].string ?? "0"
    try nodes[0].command("CLUSTER", "MEET", "127.0.0.1", known, bus)
  }

  private func knows(_ node: RedisServer, _ count: Int) throws -> Bool {
    let info = try node.command("CLUSTER", "INFO").string ?? ""
    return info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:\(count)")
      && info.contains("cluster_slots_ok:\(RedisCluster.slots)")
  }

  private func slaves(seenBy node: RedisServer) throws -> Int {
    let lines = try node.command("CLUSTER", "NODES").string?.split(separator: "\n") ?? []
    return lines.count { $0.contains("slave") && !$0.contains("fail") }
  }

  func id(of node: RedisServer) throws -> String {
    try node.command("CLUSTER", "MYID").string ?? ""
  }

  /// Its URL for workers, by some of its nodes.
  var url: String {
    let hosts = ports.prefix(3).map { "127.0.0.1:\($0)" }.joined(separator: ",")
    return "redis\(certificates == nil ? "" : "s")-cluster://latchkey:least-rights@\(hosts)"
  }

  /// The flags of a worker on it, or of the doctor.
  var flags: [String] {
    ["--redis", url] + (certificates.map { ["--redis-ca", $0.authority] } ?? [])
  }

  // MARK: Slots

  /// The node that has a slot, as a node sees it; waits while that one leaves the slot out, as it
  /// does when it hears of a deposed master before it hears of the new one.
  func owner(of slot: Int, seenBy node: RedisServer? = nil) throws -> RedisServer {
    var found: RedisServer?
    try eventually("a node that has slot \(slot)") {
      let ranges = try (node ?? nodes[0]).command("CLUSTER", "SLOTS").items
      let range = ranges.first { range in
        guard let first = range.items[0].number, let last = range.items[1].number else {
          return false
        }
        return (first...last).contains(slot)
      }
      let port = range?.items[2].items[1].number
      found = nodes.first { self.port(of: $0) == port }
      return found != nil
    }
    guard let found else { throw Failure("no node has slot \(slot)") }
    return found
  }

  /// Begins to move a slot; its keys are still where they were.
  func beginMove(_ slot: Int, from old: RedisServer, to new: RedisServer) throws {
    try new.command("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", id(of: old))
    try old.command("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", id(of: new))
  }

  /// Moves some of the keys of a slot; returns how many there were.
  @discardableResult
  func moveKeys(_ slot: Int, from old: RedisServer, to new: RedisServer, most: Int = 1_000) throws
    -> Int
  {
    let keys = try old.command("CLUSTER", "GETKEYSINSLOT", "\(slot)", "\(most)").items
    for key in keys.compactMap(\.string) {
      try old.command("MIGRATE", "127.0.0.1", "\(new.port)", key, "0", "2000")
    }
    return keys.count
  }

  /// Ends the move of a slot.
  func endMove(_ slot: Int, to new: RedisServer, at others: [RedisServer]) throws {
    let id = try id(of: new)
    for node in [new] + others { try node.command("CLUSTER", "SETSLOT", "\(slot)", "NODE", id) }
  }

  /// Waits until the nodes agree on which has the newest claim: moves of a slot that follow each
  /// other faster can leave them of different minds for good.
  func awaitAgreement() throws {
    try eventually("the nodes agree", within: .seconds(10)) {
      let views = try nodes.map { node in
        let lines = try node.command("CLUSTER", "NODES").string?.split(separator: "\n") ?? []
        // The id and the epoch of each node.
        return Set(lines.map { $0.split(separator: " ") }.map { "\($0[0]) \($0[6])" })
      }
      return Set(views).count == 1
    }
  }

  /// Has a node not know which one has a slot, until that one names it again.
  func forget(_ slot: Int, at node: RedisServer) throws {
    let value = try RedisClient(path: node.path).command(["CLUSTER", "DELSLOTS", "\(slot)"])
    guard case .error(let text) = value, !text.contains("already unassigned") else { return }
    throw Failure("redis: \(text)")
  }

  /// Moves a slot with all that it has.
  func move(_ slot: Int, to new: RedisServer) throws {
    let old = try owner(of: slot)
    try beginMove(slot, from: old, to: new)
    while try moveKeys(slot, from: old, to: new) > 0 {}
    try endMove(slot, to: new, at: nodes.filter { $0 !== new })
  }
}
