// Owns: the tests of the connection's state machine: every cell of states and events.

import RedisConnection
import Testing
import TestSupport

struct RedisConnectionMachineTests {
  enum State: String, CaseIterable, Codable, Sendable {
    case idle, connecting, greeting, ready, leaving, backingOff, closed

    /// A machine in this state; its first retry waits 20 ms.
    var machine: RedisConnectionMachine {
      var machine = RedisConnectionMachine()
      let way: [Event] =
        switch self {
        case .idle: []
        case .connecting: [.start]
        case .greeting: [.start, .connected]
        case .ready: [.start, .connected, .greeted]
        case .leaving: [.start, .connected, .greeted, .disowned]
        case .backingOff: [.start, .failed]
        case .closed: [.stop]
        }
      for event in way { _ = event.happen(to: &machine) }
      return machine
    }
  }

  enum Event: String, CaseIterable, Codable, Sendable {
    case start, connected, greeted, confirmed, disowned, failed, retryTimerFired, stop

    func happen(to machine: inout RedisConnectionMachine) -> RedisConnectionMachine.Action {
      switch self {
      case .start: machine.start()
      case .connected: machine.connected()
      case .greeted: machine.greeted()
      case .confirmed: machine.confirmed()
      case .disowned: machine.disowned()
      case .failed: machine.failed(random: 1)
      case .retryTimerFired: machine.retryTimerFired()
      case .stop: machine.stop()
      }
    }
  }

  struct Cell: Hashable, Codable, Sendable, CustomTestStringConvertible {
    var state: State
    var event: Event
    init(_ state: State, _ event: Event) {
      self.state = state
      self.event = event
    }
    var testDescription: String { "\(state) \(event)" }
  }

  /// The legal pairs; any other one is a bug of the shell.
  static let legal: [Cell: (RedisConnectionMachine.Action, State)] = [
    Cell(.idle, .start): (.connect, .connecting),
    Cell(.idle, .stop): (.close, .closed),
    Cell(.connecting, .connected): (.greet, .greeting),
    Cell(.connecting, .failed): (.retry(afterMs: 20), .backingOff),
    Cell(.connecting, .stop): (.close, .closed),
    Cell(.greeting, .greeted): (.serve, .ready),
    Cell(.greeting, .failed): (.retry(afterMs: 20), .backingOff),
    Cell(.greeting, .stop): (.close, .closed),
    Cell(.connecting, .disowned): (.nothing, .connecting),
    Cell(.greeting, .disowned): (.nothing, .greeting),
    Cell(.ready, .confirmed): (.nothing, .ready),
    Cell(.ready, .disowned): (.leave, .leaving),
    Cell(.leaving, .confirmed): (.nothing, .leaving),
    Cell(.leaving, .disowned): (.nothing, .leaving),
    Cell(.leaving, .failed): (.retry(afterMs: 20), .backingOff),
    Cell(.leaving, .stop): (.close, .closed),
    Cell(.backingOff, .disowned): (.nothing, .backingOff),
    Cell(.closed, .disowned): (.nothing, .closed),
    Cell(.ready, .failed): (.retry(afterMs: 20), .backingOff),
    Cell(.ready, .stop): (.close, .closed),
    Cell(.backingOff, .retryTimerFired): (.connect, .connecting),
    Cell(.backingOff, .stop): (.close, .closed),
    Cell(.closed, .start): (.nothing, .closed),
    Cell(.closed, .failed): (.nothing, .closed),
    Cell(.closed, .retryTimerFired): (.nothing, .closed),
    Cell(.closed, .stop): (.nothing, .closed),
  ]

  static let illegal = State.allCases.flatMap { state in
    Event.allCases.map { Cell(state, $0) }
  }.filter { legal[$0] == nil }

  @Test(arguments: State.allCases)
  func `a state has a name and a description`(state: State) {
    let machine = state.machine
    #expect(machine.word == state.rawValue)
    #expect(machine.isReady == (state == .ready))
    #expect(machine.isClosed == (state == .closed))
    #expect(machine.isConnecting == (state == .connecting))
    #expect(machine.isLeaving == (state == .leaving))
  }

  @Test(arguments: Array(legal.keys))
  func `an event that is allowed leads to its action and state`(cell: Cell) throws {
    let (action, next) = try #require(Self.legal[cell])
    var machine = cell.state.machine
    #expect(cell.event.happen(to: &machine) == action)
    #expect(machine.word == next.rawValue)
  }

  @Test(arguments: illegal)
  func `an event that is not allowed traps and says which`(cell: Cell) async throws {
    let result = try await #require(
      processExitsWith: .failure, observing: [\.standardErrorContent]
    ) { [cell] in
      var machine = cell.state.machine
      _ = cell.event.happen(to: &machine)
    }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(
      text.contains("a connection that is \(cell.state) got the event \(cell.event)"), "\(text)")
  }

  @Test func `all cells are tested`() {
    #expect(Self.legal.count + Self.illegal.count == 56)
    #expect(Self.illegal.count == 30)
  }

  // MARK: Waiting

  /// The waits of failures in a row, each with this number for chance.
  private func waits(
    _ count: Int, random: Double, _ machine: inout RedisConnectionMachine
  ) -> [Int64] {
    (0..<count).compactMap { _ in
      let action = machine.failed(random: random)
      _ = machine.retryTimerFired()
      guard case .retry(let ms) = action else { return nil }
      return ms
    }
  }

  @Test func `a connection that failed waits longer each time, up to the cap`() {
    var machine = State.connecting.machine
    #expect(
      waits(10, random: 1, &machine) == [20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000, 1_000])
    var other = State.connecting.machine
    #expect(waits(8, random: 0, &other) == [10, 20, 40, 80, 160, 320, 500, 500])
  }

  @Test func `chance spreads the waits over the upper half`() {
    var random = Seeded("waits of a connection")
    for _ in 0..<100 {
      var machine = State.connecting.machine
      var cap: Int64 = 20
      for _ in 0..<12 {
        let chance = Double.random(in: 0..<1, using: &random)
        let ms = waits(1, random: chance, &machine)[0]
        #expect((cap / 2...cap).contains(ms))
        cap = min(cap * 2, 1_000)
      }
    }
  }

  @Test func `failing for ever does not overflow`() {
    var machine = RedisConnectionMachine(retryMs: 1_000...60_000)
    _ = machine.start()
    #expect(waits(10_000, random: 1, &machine).suffix(9_990).allSatisfy { $0 == 60_000 })
  }

  @Test func `a server that is disowned after each connection is asked less and less often`() {
    var machine = State.connecting.machine
    let disowned = (0..<8).map { _ -> Int64 in
      for event in [Event.connected, .greeted, .disowned] { _ = event.happen(to: &machine) }
      return waits(1, random: 1, &machine)[0]
    }
    #expect(disowned == [20, 40, 80, 160, 320, 640, 1_000, 1_000])
    // One that has confirmed its role is asked at once.
    for event in [Event.connected, .greeted, .confirmed, .disowned] {
      _ = event.happen(to: &machine)
    }
    #expect(waits(2, random: 1, &machine) == [20, 40])
  }

  @Test func `only a connection that has served starts again with the shortest wait`() {
    var machine = State.connecting.machine
    #expect(waits(3, random: 1, &machine) == [20, 40, 80])
    // Being connected is not enough: a Redis that closes at once would be stormed.
    _ = machine.connected()
    #expect(waits(1, random: 1, &machine) == [160])
    _ = machine.connected()
    _ = machine.greeted()
    #expect(waits(2, random: 1, &machine) == [20, 40])
  }
}
