// Owns: the terminal while `latchkey top` shows itself on it: its mode, its size, its keys. Main
// thread.

import Glibc
import LatchkeyClient
import Loop

/// The view of `latchkey top`.
final class TopView {
  private let worker: WorkerFlags
  private var connection: LatchkeyConnection?
  private let everyMs: Int64
  private var sample: TopSample
  private var before: TopSample?
  /// Why there is no newer sample.
  private var trouble: String?

  init(
    _ worker: WorkerFlags, _ connection: LatchkeyConnection, _ sample: TopSample, everyMs: Int64
  ) {
    self.worker = worker
    self.connection = connection
    self.sample = sample
    self.everyMs = everyMs
  }

  /// Shows itself until a key or a signal ends it; returns the exit status.
  func run() -> Int32 {
    let terminal = RawTerminal()
    defer { terminal.restore() }
    while true {
      guard draw() else { return 0 }
      let nextMs = sample.atMs + everyMs
      var leftMs = max(50, nextMs - MonotonicTime.nowMs())
      if trouble != nil { leftMs = everyMs }
      switch terminal.awaitKey(forMs: leftMs) {
      case .quit: return 0
      case .resized: continue
      case .none: ask()
      }
    }
  }

  /// Asks for a newer sample.
  private func ask() {
    do throws(LatchkeyError) {
      if connection == nil { connection = try worker.connect() }
      guard let open = connection else { return }
      let stats = try open.request("STATS", timeoutMs: worker.timeoutMs)
      let info = try open.request("INFO", timeoutMs: worker.timeoutMs)
      guard stats.word == .ok, info.word == .ok else {
        trouble = stats.word == .ok ? info.line : stats.line
        return
      }
      let hooks = try open.request("HOOKS", timeoutMs: worker.timeoutMs)
      let newer = TopSample(stats: stats, info: info, hooks: hooks)
      (before, sample, trouble) = (sample, newer, nil)
    } catch {
      connection = nil
      trouble = "\(error)"
    }
  }

  /// Draws all lines that fit; false if the terminal is gone.
  private func draw() -> Bool {
    let size = RawTerminal.size()
    var lines = TopText.lines(worker.place, sample, before: before)
    if let trouble { lines[1] = "no newer figures: \(trouble)" }
    let shown = lines.prefix(max(1, size.rows - 1)).map { line in
      String(line.prefix(size.columns)) + "\u{1B}[K"
    }
    return Console.write("\u{1B}[H" + shown.joined(separator: "\r\n") + "\u{1B}[J")
  }
}

/// A terminal that gives keys as they are typed, and shows another page meanwhile.
private struct RawTerminal {
  enum Input {
    case quit
    case resized
    case none
  }

  private var before = termios()

  /// How often it looks for such a signal.
  private static let sliceMs: Int64 = 200

  private static var endingSignals: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in [SIGTERM, SIGHUP, SIGINT] { sigaddset(&set, number) }
    return set
  }

  private static var mustEnd: Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return [SIGTERM, SIGHUP, SIGINT].contains { sigismember(&pending, $0) == 1 }
  }

  /// Leaves standard input as it was found; signals interrupt the wait for a key.
  init() {
    tcgetattr(0, &before)
    var raw = before
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
    tcsetattr(0, TCSANOW, &raw)
    // A handler that does nothing: poll ends with EINTR, and the new size is asked for.
    signal(SIGWINCH) { _ in }
    // Those that end the program are looked for, so that the terminal is restored before.
    var ending = RawTerminal.endingSignals
    sigprocmask(SIG_BLOCK, &ending, nil)
    _ = Console.write("\u{1B}[?1049h\u{1B}[?25l")
  }

  func restore() {
    _ = Console.write("\u{1B}[?25h\u{1B}[?1049l")
    var mode = before
    tcsetattr(0, TCSANOW, &mode)
  }

  /// Waits for a key: q, Ctrl-C, Ctrl-D or the end of the input ends the view.
  func awaitKey(forMs ms: Int64) -> Input {
    let untilMs = MonotonicTime.nowMs() + ms
    while true {
      var entry = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
      let left = max(0, min(untilMs - MonotonicTime.nowMs(), RawTerminal.sliceMs))
      let count = poll(&entry, 1, Int32(left))
      if RawTerminal.mustEnd { return .quit }
      if count < 0 { return errno == EINTR ? .resized : .quit }
      guard count > 0 else {
        if MonotonicTime.nowMs() >= untilMs { return .none }
        continue
      }
      var key: UInt8 = 0
      guard read(0, &key, 1) == 1, ![3, 4, UInt8(ascii: "q"), UInt8(ascii: "Q")].contains(key)
      else { return .quit }
    }
  }

  /// How many rows and columns there are; 24 and 80 where the terminal does not say.
  static func size() -> (rows: Int, columns: Int) {
    var size = winsize()
    guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else {
      return (24, 80)
    }
    return (Int(size.ws_row), Int(size.ws_col))
  }
}
