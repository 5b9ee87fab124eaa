// Owns: the EVENTS requests of a loop and its reads that wait for a change, and how each is found:
// by its number, by its connection, by what may answer it, and by its deadline. A value, without
// Redis or a clock; the shell in EventSubscriptions.swift performs what they ask for. Runs on the
// loop's thread.
//
// Thousands of requests may wait, and leave together: none of these ways goes through all of them.

internal import Loop
internal import Metrics
package import RedisConnection
internal import SessionModel
package import Store

/// A request that awaits an answer, or holds events.
package struct EventRequest {
  package let ticket: Ticket
  package let query: EventQuery
  package var wait: EventWait
  /// Whether its caller's next request is begun after this one's reply.
  let holdsCaller: Bool
  /// The events that were read for it and are not delivered yet.
  package var held: HeldEvents?
  var readAtMs: Int64 = 0
  /// The latest answer of Redis that said that there is nothing yet, as a line without its end.
  var nothing: [UInt8] = EventQuery.noEvents
  /// Whether it counts among those who want its device's changes.
  var wantsChanges = false
  /// The deadline by which it is found now; nil for none.
  fileprivate var notedMs: Int64?

  package init(ticket: Ticket, query: EventQuery, wait: EventWait, holdsCaller: Bool) {
    self.ticket = ticket
    self.query = query
    self.wait = wait
    self.holdsCaller = holdsCaller
  }

  package var connection: ConnectionID { ConnectionID(packed: ticket.client) }
}

/// All requests of a loop that read events, or wait for a change.
package struct EventRequests {
  private struct Deadline: Comparable {
    let atMs: Int64
    let number: UInt64

    static func < (left: Deadline, right: Deadline) -> Bool {
      (left.atMs, left.number) < (right.atMs, right.number)
    }
  }

  private var requests: [UInt64: EventRequest] = [:]
  private var byConnection: [ConnectionID: [UInt64]] = [:]
  private var byDevice: [[UInt8]: Set<UInt64>] = [:]
  private var byChangedDevice: [[UInt8]: Set<UInt64>] = [:]
  /// An entry that its request has no more is passed over when its time has come.
  private var deadlines = Heap<Deadline>()
  private var lastNumber: UInt64 = 0
  /// How many wait with `wait=` for events, for which the tail has to run; and of these for
  /// events of a device.
  package private(set) var waiting = 0
  package private(set) var waitingForDevices = 0
  /// How many wait for a change.
  package private(set) var waitingForChanges = 0

  package init() {}

  package var isEmpty: Bool { requests.isEmpty }
  package var count: Int { requests.count }
  /// Every number, for what concerns all, such as a drain.
  package var numbers: [UInt64] { Array(requests.keys) }
  /// Whether Redis gives to a request whose caller is gone.
  package var isAnyLeaving: Bool { requests.values.contains { $0.wait.state == .leaving } }

  package subscript(number: UInt64) -> EventRequest? { requests[number] }

  /// The requests of a connection, in their order.
  package func numbers(of connection: ConnectionID) -> [UInt64] { byConnection[connection] ?? [] }

  /// The requests that events of these devices may answer.
  package func numbers(concerning devices: Set<[UInt8]>) -> [UInt64] {
    devices.flatMap { byDevice[$0] ?? [] }
  }

  /// The requests that what is lost of these partitions may concern.
  func numbers(concerning partitions: PartitionSet) -> [UInt64] {
    requests.compactMap { number, request in
      request.query.partition.map(partitions.contains) == true ? number : nil
    }
  }

  /// The reads that changes of a device may answer.
  package func numbers(waitingForChangesOf device: [UInt8]) -> [UInt64] {
    Array(byChangedDevice[device] ?? [])
  }

  /// Takes a request and gives its number.
  package mutating func add(_ request: EventRequest) -> UInt64 {
    lastNumber += 1
    let number = lastNumber
    byConnection[request.connection, default: []].append(number)
    switch request.query {
    case .device(let query): byDevice[query.device, default: []].insert(number)
    case .changes(let scope, _, _, _, _): byChangedDevice[scope.device, default: []].insert(number)
    case .group: break
    }
    if request.wait.isWaiting { count(request, 1) }
    store(number, request)
    return number
  }

  /// Changes a request, and forgets it if it has ended; nil if there is none of this number.
  package mutating func change<Result>(
    _ number: UInt64, _ body: (inout EventRequest) -> Result
  ) -> (request: EventRequest, result: Result)? {
    guard var request = requests[number] else { return nil }
    let wasWaiting = request.wait.isWaiting
    let result = body(&request)
    if wasWaiting != request.wait.isWaiting { count(request, wasWaiting ? -1 : 1) }
    if request.wait.isEnded { remove(number, request) } else { store(number, request) }
    return (request, result)
  }

  private mutating func count(_ request: EventRequest, _ change: Int) {
    switch request.query {
    case .device:
      waiting += change
      waitingForDevices += change
    case .group: waiting += change
    case .changes: waitingForChanges += change
    }
  }

  private mutating func store(_ number: UInt64, _ request: EventRequest) {
    var request = request
    if let atMs = request.wait.timerAtMs, atMs != request.notedMs {
      deadlines.insert(Deadline(atMs: atMs, number: number))
    }
    request.notedMs = request.wait.timerAtMs
    requests[number] = request
    dropPassedOver()
  }

  private mutating func remove(_ number: UInt64, _ request: EventRequest) {
    requests[number] = nil
    let connection = request.connection
    if let at = byConnection[connection]?.firstIndex(of: number) {
      byConnection[connection]?.remove(at: at)
    }
    if byConnection[connection]?.isEmpty == true { byConnection[connection] = nil }
    switch request.query {
    case .device(let query): EventRequests.remove(number, query.device, &byDevice)
    case .changes(let scope, _, _, _, _):
      EventRequests.remove(number, scope.device, &byChangedDevice)
    case .group: break
    }
    dropPassedOver()
  }

  private static func remove(
    _ number: UInt64, _ device: [UInt8], _ all: inout [[UInt8]: Set<UInt64>]
  ) {
    all[device]?.remove(number)
    if all[device]?.isEmpty == true { all[device] = nil }
  }

  // MARK: Deadlines

  /// When the first of them may be due.
  package var nextDeadlineMs: Int64? { deadlines.least?.atMs }

  /// The entries that are kept for deadlines, those without a request included.
  package var deadlineEntries: Int { deadlines.count }

  /// Takes a request whose deadline has come.
  package mutating func takeDue(nowMs: Int64) -> UInt64? {
    while let first = deadlines.least, first.atMs <= nowMs {
      _ = deadlines.popLeast()
      guard requests[first.number]?.notedMs == first.atMs else { continue }
      requests[first.number]?.notedMs = nil
      return first.number
    }
    return nil
  }

  /// Entries of requests that have ended take no more room than the others.
  private mutating func dropPassedOver() {
    guard deadlines.count > 2 * requests.count + 64 else { return }
    deadlines = Heap(
      requests.compactMap { number, request in
        request.notedMs.map { Deadline(atMs: $0, number: number) }
      })
  }
}
