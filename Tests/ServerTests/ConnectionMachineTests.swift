// Owns: the tests of a connection's state machine: every cell of states and events.

import Testing

@testable import Metrics
@testable import Server

struct ConnectionMachineTests {
  typealias Action = ConnectionMachine.Action

  /// The states, with their unanswered requests and unread bytes; two requests or 100 bytes park a
  /// connection.
  enum State: String, CaseIterable, Codable, Sendable {
    /// All requests are answered and all bytes read.
    case readingQuiet
    /// One request is not answered.
    case readingBusy
    /// Ten bytes are not read.
    case readingUnread
    /// Two requests are not answered.
    case parkedByRequests
    /// 100 bytes are not read.
    case parkedByBytes
    /// One request is not answered, and the caller has said QUIT.
    case finishing
    /// The output is closed, and the input is drained.
    case lingering
    case closed
    /// Closed while one request was not answered.
    case closedBusy

    var machine: ConnectionMachine {
      var machine = ConnectionMachine(unansweredMax: 2, unreadBytesMax: 100)
      func expect(_ action: Action, _ wanted: Action) { #expect(action == wanted, "\(self)") }
      switch self {
      case .readingQuiet: break
      case .readingBusy: expect(machine.requestTaken(), .nothing)
      case .readingUnread:
        expect(machine.requestTaken(), .nothing)
        expect(machine.answered(1, unreadBytes: 10), .nothing)
      case .parkedByRequests:
        expect(machine.requestTaken(), .nothing)
        expect(machine.requestTaken(), .stopReading)
      case .parkedByBytes:
        expect(machine.requestTaken(), .nothing)
        expect(machine.answered(1, unreadBytes: 100), .stopReading)
      case .finishing:
        expect(machine.requestTaken(), .nothing)
        expect(machine.finish(.quit), .stopReading)
      case .lingering: expect(machine.finish(.quit), .halfClose)
      case .closed: expect(machine.abort(.broken), .close(.broken))
      case .closedBusy:
        expect(machine.requestTaken(), .nothing)
        expect(machine.abort(.broken), .close(.broken))
      }
      return machine
    }
  }

  enum Event: Hashable, Codable, Sendable {
    case requestTaken
    case answered(unread: Int)
    case outputChanged(unread: Int)
    case finish, lingeringEnded, abort

    /// One of each kind, and those that matter at a limit.
    static let all: [Event] = [
      .requestTaken, .answered(unread: 0), .answered(unread: 99), .answered(unread: 100),
      .outputChanged(unread: 0), .outputChanged(unread: 99), .outputChanged(unread: 100), .finish,
      .lingeringEnded, .abort,
    ]

    func happen(to machine: inout ConnectionMachine) -> Action {
      switch self {
      case .requestTaken: machine.requestTaken()
      case .answered(let unread): machine.answered(1, unreadBytes: unread)
      case .outputChanged(let unread): machine.outputChanged(unreadBytes: unread)
      case .finish: machine.finish(.idle)
      case .lingeringEnded: machine.lingeringEnded()
      case .abort: machine.abort(.drained)
      }
    }
  }

  /// The action of each state for `Event.all`, in that order; nil is a trap.
  static let table: [State: [Action?]] = [
    .readingQuiet: [
      .nothing, nil, nil, nil, .nothing, .nothing, .stopReading, .halfClose, .nothing,
      .close(.drained),
    ],
    .readingBusy: [
      .stopReading, .nothing, .nothing, .stopReading, .nothing, .nothing, .stopReading,
      .stopReading, .nothing, .close(.drained),
    ],
    .readingUnread: [
      .nothing, nil, nil, nil, .nothing, .nothing, .stopReading, .stopReading, .nothing,
      .close(.drained),
    ],
    .parkedByRequests: [
      nil, .resumeReading, .resumeReading, .nothing, .nothing, .nothing, .nothing, .stopReading,
      .nothing, .close(.drained),
    ],
    .parkedByBytes: [
      nil, nil, nil, nil, .resumeReading, .resumeReading, .nothing, .stopReading, .nothing,
      .close(.drained),
    ],
    .finishing: [
      nil, .halfClose, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing,
      .close(.drained),
    ],
    .lingering: [
      nil, nil, nil, nil, .nothing, .nothing, .nothing, .nothing, .close(.quit), .close(.quit),
    ],
    .closed: [nil, nil, nil, nil, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing],
    .closedBusy: [
      nil, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing, .nothing,
    ],
  ]

  struct Cell: Codable, Sendable, CustomTestStringConvertible {
    var state: State
    var event: Event
    var testDescription: String { "\(state) \(event)" }
  }

  private static let cells = State.allCases.flatMap { state in
    Event.all.map { Cell(state: state, event: $0) }
  }

  private static func action(_ cell: Cell) -> Action? {
    let index = Event.all.firstIndex(of: cell.event) ?? 0
    return table[cell.state]?[index]
  }

  static let legal = cells.filter { action($0) != nil }
  static let illegal = cells.filter { action($0) == nil }

  @Test func `the table has every cell`() {
    #expect(Self.table.count == State.allCases.count)
    #expect(Self.table.values.allSatisfy { $0.count == Event.all.count })
    #expect(Self.legal.count + Self.illegal.count == 90)
  }

  @Test(arguments: legal)
  func `an event that is allowed leads to its action`(cell: Cell) throws {
    var machine = cell.state.machine
    let wasReading = machine.takesRequests
    let wasClosed = machine.isClosed
    let action = cell.event.happen(to: &machine)
    #expect(action == Self.action(cell))
    switch action {
    case .nothing: #expect(machine.takesRequests == wasReading && machine.isClosed == wasClosed)
    case .stopReading: #expect(!machine.takesRequests && !machine.isClosed)
    case .resumeReading: #expect(machine.takesRequests && !wasReading)
    case .halfClose: #expect(machine.isLingering && !machine.takesRequests && !machine.isClosed)
    case .close: #expect(machine.isClosed && !machine.takesRequests)
    }
  }

  @Test(arguments: illegal)
  func `an event that is not allowed traps and says why`(cell: Cell) async throws {
    let result = try await #require(
      processExitsWith: .failure, observing: [\.standardErrorContent]
    ) { [cell] in
      var machine = cell.state.machine
      _ = cell.event.happen(to: &machine)
    }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    let reason =
      cell.event == .requestTaken ? "got the event requestTaken" : "more answers than requests"
    #expect(text.contains(reason), "\(text)")
  }

  // MARK: Unanswered requests

  @Test func `a connection is quiet while every request is answered`() {
    for state in State.allCases {
      let isQuiet = [.readingQuiet, .lingering, .closed].contains(state)
      #expect(state.machine.isQuiet == isQuiet, "\(state)")
    }
  }

  @Test func `a connection that finishes waits for its answers and for their being read`() {
    var machine = State.parkedByRequests.machine
    #expect(machine.finish(.ended) == .stopReading)
    #expect(machine.finish(.quit) == .nothing)
    #expect(machine.answered(1, unreadBytes: 0) == .nothing)
    #expect(machine.answered(1, unreadBytes: 50) == .nothing)
    #expect(machine.outputChanged(unreadBytes: 1) == .nothing)
    #expect(machine.outputChanged(unreadBytes: 0) == .close(.ended))
  }

  @Test func `several answers at once are counted`() {
    var machine = ConnectionMachine(unansweredMax: 3, unreadBytesMax: 100)
    for wanted in [Action.nothing, .nothing, .stopReading] {
      #expect(machine.requestTaken() == wanted)
    }
    #expect(machine.answered(0, unreadBytes: 0) == .nothing)
    #expect(machine.answered(3, unreadBytes: 20) == .resumeReading)
    #expect(machine.unanswered == 0 && !machine.isQuiet)
    #expect(machine.outputChanged(unreadBytes: 0) == .nothing)
    #expect(machine.isQuiet)
  }

  @Test func `memory pressure lowers the limit of unread bytes and never raises it`() {
    var machine = ConnectionMachine(
      unansweredMax: 9, unreadBytesMax: 100, pressureUnreadBytesMax: 50)
    #expect(machine.outputChanged(unreadBytes: 99) == .nothing)
    #expect(machine.outputChanged(unreadBytes: 49, hasMemoryPressure: true) == .nothing)
    #expect(machine.outputChanged(unreadBytes: 50, hasMemoryPressure: true) == .stopReading)
    #expect(machine.held() == .nothing && machine.released() == .nothing)
    #expect(machine.outputChanged(unreadBytes: 49, hasMemoryPressure: true) == .resumeReading)
    #expect(machine.requestTaken() == .nothing)
    #expect(machine.answered(1, unreadBytes: 50, hasMemoryPressure: true) == .stopReading)
    #expect(machine.outputChanged(unreadBytes: 99) == .resumeReading)
    var small = ConnectionMachine(unansweredMax: 9, unreadBytesMax: 9, pressureUnreadBytesMax: 50)
    #expect(small.outputChanged(unreadBytes: 8, hasMemoryPressure: true) == .nothing)
    #expect(small.outputChanged(unreadBytes: 9, hasMemoryPressure: true) == .stopReading)
  }

  @Test func `a share parks before the limit does, and a larger one lets go on`() {
    var machine = ConnectionMachine(unansweredMax: 9, unreadBytesMax: 100)
    for wanted in [Action.nothing, .nothing, .stopReading] {
      #expect(machine.requestTaken(shareMax: 3) == wanted)
    }
    #expect(machine.outputChanged(unreadBytes: 0) == .nothing)
    #expect(machine.answered(0, unreadBytes: 0, shareMax: 9) == .nothing, "there was no answer")
    #expect(machine.answered(1, unreadBytes: 0, shareMax: 2) == .nothing)
    #expect(machine.answered(1, unreadBytes: 0, shareMax: 2) == .resumeReading)
    #expect(machine.requestTaken(shareMax: 2) == .stopReading)
    // The limit holds, however large the share is.
    #expect(machine.answered(1, unreadBytes: 0, shareMax: 99) == .resumeReading)
    for _ in 0..<7 { #expect(machine.requestTaken(shareMax: 99) == .nothing) }
    #expect(machine.requestTaken(shareMax: 99) == .stopReading)
  }

  @Test func `a limit of one parks at each request and goes on at each answer`() {
    var machine = ConnectionMachine(unansweredMax: 1, unreadBytesMax: 1)
    for _ in 0..<3 {
      #expect(machine.requestTaken() == .stopReading)
      #expect(machine.answered(1, unreadBytes: 1) == .nothing)
      #expect(machine.outputChanged(unreadBytes: 0) == .resumeReading)
    }
  }
}
