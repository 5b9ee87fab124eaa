// Owns: a connection on a loop of its own thread. Tests send it orders through a mailbox, and it
// logs its callbacks in order.

import Foundation
import Loop
import RedisConnection
import Scripts
import SessionModel
import Synchronization
import TestSupport

/// One callback of a connection.
enum ConnectionNews: Equatable, Sendable {
  case serves
  case failed(String)
  case refused(String)
  /// A batch was answered: the slots of its requests, and the reply lines or one error.
  case answered([UInt64], [String])
  case rejected([UInt64], String)
  case batchFailed([UInt64], RedisFailure)
  /// The reply to a call with this name.
  case called(String, String)
  case callFailed(String, RedisFailure)
}

/// The part that lives on the loop's thread.
final class ConnectionSide: RedisConnectionOwner {
  let loop: EventLoop
  private(set) var redis: RedisConnection?
  var batcher = Batcher(requestsMax: 64)
  private var latest: [UInt64: UInt64] = [:]
  private let report: (ConnectionNews) -> Void

  init(_ loop: EventLoop, _ setup: RedisSetup, _ report: @escaping (ConnectionNews) -> Void) {
    self.loop = loop
    self.report = report
    redis = RedisConnection(loop, setup, owner: self)
    loop.atTurnEnd { [unowned self] in turnEnded() }
  }

  private func turnEnded() {
    guard let redis, redis.isReady else { return }
    if !batcher.isEmpty { redis.send(batcher.takeAll()) }
    redis.flush()
  }

  /// Asks as a worker's connection does, for a caller that came `ageMs` ago; replies are logged by
  /// slot.
  func ask(
    _ script: Script, slot: UInt64, client: UInt64 = 1, base: String, _ arguments: [String],
    ageMs: Int64 = 0
  ) {
    let batch = batcher.batch(for: script, after: latest[client] ?? 0)
    latest[client] = batch.sequence
    var key = CommandBuffer()
    key.word(base)
    let ticket = Ticket(
      client: client, slot: slot, verb: script.rawValue,
      arrivedNs: loop.nowNs - ageMs * 1_000_000)
    batch.add(ticket, base: key.bytes) { out in for word in arguments { out.word(word) } }
  }

  func redisServes(_ redis: RedisConnection) { report(.serves) }
  func redisFailed(_ redis: RedisConnection, reason: String) { report(.failed(reason)) }
  func redisRefused(_ redis: RedisConnection, reason: String) { report(.refused(reason)) }

  /// A reply as one text: the parts of an array with spaces between them.
  private static func text(_ reply: RedisReply) -> String {
    guard reply.kind == .array else { return reply.text }
    return reply.elements.map(\.text).joined(separator: " ")
  }

  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {
    let slots = batch.tickets.map(\.slot)
    if reply.kind == .error {
      report(.rejected(slots, reply.text))
    } else {
      report(.answered(slots, reply.elements.map(ConnectionSide.text)))
    }
    batcher.recycle(batch)
  }

  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {
    report(.batchFailed(batch.tickets.map(\.slot), failure))
    batcher.recycle(batch)
  }
}

/// Where one thread puts a value for another.
private final class Place<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
}

/// A connection on a thread of its own, stopped with this object.
final class ConnectionBench: Sendable {
  private struct Order: Sendable {
    let body: @Sendable (ConnectionSide) -> Void
  }

  private let orders: Mailbox<Order>
  private let thread: LoopThread
  private let log: Log

  /// The news, shared by both threads.
  private final class Log: Sendable {
    let news = Mutex<[ConnectionNews]>([])
  }

  /// Makes a connection to a Unix socket.
  convenience init(
    path: String, timeoutMs: Int64 = 10_000, _ change: (inout RedisSetup) -> Void = { _ in }
  ) throws {
    try self.init(at: .unix(path: path), timeoutMs: timeoutMs, change)
  }

  init(
    at address: Address, timeoutMs: Int64 = 10_000, _ change: (inout RedisSetup) -> Void = { _ in }
  ) throws {
    var setup = RedisSetup(
      endpoint: RedisEndpoint(address: address), keyspace: Keyspace(namespace: "lk"),
      constants: ScriptConstants(reqKeepMs: 600_000, eventsMax: 1_000),
      requestTimeoutMs: timeoutMs)
    change(&setup)
    let (orders, log, chosen) = (try Mailbox<Order>(), Log(), setup)
    (self.orders, self.log) = (orders, log)
    thread = try LoopThread(name: "connection") {
      guard let loop = try? EventLoop() else { return }
      let side = ConnectionSide(loop, chosen) { news in log.news.withLock { $0.append(news) } }
      let reader = MailboxReader(loop, orders) { $0.body(side) }
      withExtendedLifetime((reader, side)) { loop.run() }
    }
  }

  deinit {
    orders.post(
      Order { side in
        side.redis?.stop()
        side.loop.stop()
      })
    thread.join()
  }

  /// Does something on the loop's thread, some time soon.
  func post(_ body: @escaping @Sendable (ConnectionSide) -> Void) { orders.post(Order(body: body)) }

  /// Runs a closure on the loop's thread and returns its result.
  func ask<Value: Sendable>(_ body: @escaping @Sendable (ConnectionSide) -> Value) throws -> Value {
    let place = Place<Value>()
    post { side in
      let value = body(side)
      place.value.withLock { $0 = value }
    }
    try eventually("a turn of the loop") { place.value.withLock { $0 != nil } }
    guard let value = place.value.withLock({ $0 }) else { throw TestFailure("no value") }
    return value
  }

  var news: [ConnectionNews] { log.news.withLock { $0 } }

  func count(_ wanted: ConnectionNews) -> Int { news.count { $0 == wanted } }

  /// Waits for news, beginning with those after the first `after`.
  @discardableResult
  func wait(
    _ what: String, after: Int = 0, within limit: Duration = .seconds(10),
    _ isIt: (ConnectionNews) -> Bool
  ) throws -> ConnectionNews {
    var found: ConnectionNews?
    do {
      try eventually(what, within: limit) {
        found = news.dropFirst(after).first(where: isIt)
        return found != nil
      }
    } catch {
      throw TestFailure("\(error); the news are \(news.suffix(6))")
    }
    guard let found else { throw TestFailure(what) }
    return found
  }

  /// Starts the connection.
  func start() { post { $0.redis?.start() } }

  /// Starts the connection and waits until it serves.
  func startServing() throws {
    start()
    try waitUntilServing()
  }

  func waitUntilServing(after: Int = 0) throws {
    try wait("a connection that serves", after: after) { $0 == .serves }
  }

  /// Asks for one request and waits for its reply line.
  func request(
    _ script: Script, slot: UInt64, base: String = "lk:{000}", _ arguments: String...
  ) throws -> String {
    post { $0.ask(script, slot: slot, base: base, arguments) }
    let news = try wait("the reply to \(script.name) \(arguments)") { news in
      switch news {
      case .answered(let slots, _), .rejected(let slots, _), .batchFailed(let slots, _):
        slots.contains(slot)
      case .serves, .failed, .refused, .called, .callFailed: false
      }
    }
    guard case .answered(let slots, let lines) = news, slots.count == lines.count,
      let index = slots.firstIndex(of: slot)
    else { throw TestFailure("\(script.name) \(arguments): \(news)") }
    return lines[index]
  }

  /// Sends a command and puts its reply down under a name.
  func call(_ name: String, timeoutMs: Int64, _ words: String...) {
    let report: @Sendable (ConnectionNews) -> Void = { [log] news in
      log.news.withLock { $0.append(news) }
    }
    post { side in
      side.redis?.call(
        timeoutMs: timeoutMs,
        { out in
          out.begin(words: words.count)
          for word in words { out.word(word) }
        }, ConnectionBench.handler(name, report))
    }
  }

  /// Calls a script of one request and puts its reply down under a name.
  func call(
    _ name: String, _ script: Script, timeoutMs: Int64, keys: [String], arguments: [String]
  ) {
    let report: @Sendable (ConnectionNews) -> Void = { [log] news in
      log.news.withLock { $0.append(news) }
    }
    post { side in
      var words = CommandBuffer()
      for argument in arguments { words.word(argument) }
      side.redis?.call(
        script, timeoutMs: timeoutMs, keys: keys, arguments: words,
        ConnectionBench.handler(name, report))
    }
  }

  private static func handler(
    _ name: String, _ report: @escaping @Sendable (ConnectionNews) -> Void
  ) -> RedisConnection.Handler {
    { result in
      switch result {
      case .success(let reply): report(.called(name, reply.text))
      case .failure(let failure): report(.callFailed(name, failure))
      }
    }
  }
}

extension ConnectionNews {
  /// Why the connection failed, if it did.
  var reason: String? {
    guard case .failed(let reason) = self else { return nil }
    return reason
  }
}
