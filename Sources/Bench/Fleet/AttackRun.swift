// Owns: callers that misbehave, for as long as the options say. Runs on the main thread, which is
// the loop's.

import Glibc
import Loop

/// One connection after another of one attacker.
private final class Attacker: FileWatchOwner {
  private unowned let run: AttackRun
  private var socket: Socket?
  private var watch: FileWatch?
  private var isConnected = false
  private var again: LoopTimer?
  /// How much of a large request is still to be sent, and how much of it was.
  private var toHoard = 0
  private var hoarded = 0

  init(_ run: AttackRun) {
    self.run = run
    again = LoopTimer(run.loop) { [unowned self] in begin() }
  }

  deinit { close() }

  func begin() {
    do throws(SystemError) {
      let socket = try run.address.connect()
      self.socket = socket
      isConnected = false
      watch = FileWatch(run.loop, socket.descriptor, owner: self)
      watch?.want(.write)
    } catch {
      // Out of ports for a moment: the attacker tries again.
      run.counts.failed += 1
      again?.set(afterMs: 100)
    }
  }

  func fileReady(_ readiness: Readiness) {
    guard let socket else { return }
    if !isConnected {
      guard socket.connectOutcome() == 0 else { return restart(isByWorker: true) }
      isConnected = true
      run.counts.opened += 1
      return connected(socket)
    }
    if readiness.canWrite { return run.attack == .deaf ? shout(socket) : hoard(socket) }
    switch socket.read(into: run.readBuffer) {
    case .moved:
      if run.attack == .storm { restart(isByWorker: false) }
      // The reply to AUTH, or to the whole import.
      if run.attack == .large, toHoard == 0 { beginImport(socket) }
    case .wouldBlock: break
    case .ended, .broken: restart(isByWorker: true)
    }
  }

  private func connected(_ socket: Socket) {
    watch?.want(.read)
    switch run.attack {
    case .idle, .drip: break
    case .storm: send("PING\n", socket)
    case .deaf: watch?.want(.write)
    case .hoard:
      if let secret = run.secret { send("AUTH \(secret)\n", socket) }
      toHoard = AttackRun.hoardedBytes
      watch?.want(.write)
    case .large:
      toHoard = 0
      send(run.secret.map { "AUTH \($0)\n" } ?? "PING\n", socket)
    case .reset:
      send("LOCK attack-\(run.counts.opened % 1_000) a ttl=1s\nEVENTS d wait=1m\nLOCK half", socket)
      socket.resetOnClose()
      restart(isByWorker: false)
    }
  }

  /// A byte of a line that never ends.
  func drip() {
    guard run.attack == .drip, isConnected, let socket else { return }
    send("L", socket)
  }

  /// Asks as much as goes out, and reads nothing.
  private func shout(_ socket: Socket) {
    switch run.shout.withUnsafeBytes({ socket.write($0) }) {
    case .moved, .wouldBlock: break
    case .ended, .broken: restart(isByWorker: true)
    }
  }

  private func beginImport(_ socket: Socket) {
    send("IMPORT {\"x\":[", socket)
    (toHoard, hoarded) = (AttackRun.importedBytes, 0)
    watch?.want(.write)
  }

  /// Sends what goes out of a large request and, when that is most of it, waits or ends an import.
  private func hoard(_ socket: Socket) {
    let part = run.attack == .large ? run.importPart : run.part
    let from = hoarded % AttackRun.importUnit.count
    let outcome = part.withUnsafeBytes { bytes in
      let to = min(bytes.count, from + toHoard)
      return socket.write(UnsafeRawBufferPointer(rebasing: bytes[from..<to]))
    }
    switch outcome {
    case .moved(let count):
      toHoard -= count
      hoarded += count
    case .wouldBlock: break
    case .ended, .broken: return restart(isByWorker: true)
    }
    guard toHoard == 0 else { return }
    if run.attack == .large { send("0]}\n", socket) }
    watch?.want(.read)
  }

  private func send(_ text: String, _ socket: Socket) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { socket.write($0) }
  }

  private func restart(isByWorker: Bool) {
    if isByWorker { run.counts.endedByWorker += 1 }
    close()
    again?.set(afterMs: isByWorker ? 20 : 0)
  }

  private func close() {
    watch = nil
    socket?.close()
    socket = nil
  }
}

/// All attackers, for a while.
final class AttackRun {
  struct Counts {
    var opened = 0
    /// Connections that the worker has refused, ended or reset.
    var endedByWorker = 0
    var failed = 0
  }

  let attack: Attack
  let loop: EventLoop
  let address: SocketAddress
  let shout = Array(repeating: Array("HELP\n".utf8), count: 4_096).flatMap { $0 }
  /// A part of a large request; a worker takes 1 MiB for one by default.
  let part = [UInt8](repeating: 0x78, count: 1 << 16)
  static let hoardedBytes = 1_000_000
  /// What an import has many of, and a part of it.
  static let importUnit = Array("[],".utf8)
  let importPart = Array(repeating: importUnit, count: 1 << 14).flatMap { $0 }
  static let importedBytes = 5_000_000 * importUnit.count
  let secret: String?
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  var counts = Counts()
  private let options: FleetOptions
  private var attackers: [Attacker] = []
  private var end: LoopTimer?
  private var drip: LoopTimer?

  init(_ attack: Attack, _ options: FleetOptions) throws(LoadFailure) {
    self.attack = attack
    self.options = options
    secret = options.secret
    do throws(SystemError) {
      loop = try EventLoop()
      address = try SocketAddress.resolve(options.address)
    } catch {
      throw LoadFailure(error)
    }
    end = LoopTimer(loop) { [unowned self] in loop.stop() }
    drip = LoopTimer(loop) { [unowned self] in
      for attacker in attackers { attacker.drip() }
      drip?.set(afterMs: 250)
    }
  }

  deinit { readBuffer.deallocate() }

  /// Attacks until its time is over, and returns the result in one line.
  func measure() -> String {
    attackers = (0..<options.connections).map { _ in Attacker(self) }
    for attacker in attackers { attacker.begin() }
    end?.set(afterMs: Int64(options.seconds * 1_000))
    drip?.set(afterMs: 250)
    loop.run()
    return "{\"attack\":\"\(attack.rawValue)\",\"connections\":\(options.connections)"
      + ",\"opened\":\(counts.opened),\"ended_by_worker\":\(counts.endedByWorker)"
      + ",\"failed\":\(counts.failed)}"
  }
}
