// Owns: which lines of a connection are taken while earlier requests may take more steps, and how
// lines that came in pieces are. Runs on its loop's thread.

internal import Wire

extension Connection {
  func beginStep(verb: Int, _ device: String) { steps.begin(verb: verb, device.utf8) }

  func beginAlone() { steps.beginAlone() }

  func endStep() {
    steps.end()
    guard steps.isEmpty, steps.hasWaitingLine else { return }
    steps.hasWaitingLine = false
    release()
  }

  /// Takes a line as a request; or parks, if it has to wait.
  func take(line: UnsafeBufferPointer<UInt8>) -> Bool {
    guard mayTake(line) else { return false }
    owner.lineReceived(self, line)
    return true
  }

  /// Takes the line that the framer has joined; or parks, and takes it when it goes on.
  func takeJoinedLine() {
    guard framer.held.withUnsafeBufferPointer({ mayTake($0) }) else { return }
    guard framer.held.count <= Connection.largeLineBytes else {
      let line = framer.takeJoinedLine()
      account()
      owner.largeLineReceived(self, line)
      return
    }
    framer.held.withUnsafeBufferPointer { owner.lineReceived(self, $0) }
    framer.discardLine()
    endLongLine()
  }

  /// The large line is read, and the connection goes on.
  func largeLineRead() {
    endLongLine()
    release()
  }

  /// Whether a line may be taken now; if it has to wait for the end of requests that may take more
  /// steps, the connection is parked until then.
  func mayTake(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    let isLarge = line.count > Connection.largeLineBytes
    guard !steps.isEmpty, isLarge || !owner.mayFollow(steps, line) else { return true }
    steps.hasWaitingLine = true
    hold()
    return false
  }

  /// The total room for lines is limited, so that many of them cannot fill the memory: always for
  /// longer ones than usual, and for all but short ones under memory pressure.
  func checkPartialLine() {
    let bytes = framer.held.count
    if bytes > Connection.littleBytes, owner.hasMemoryPressure {
      refuseLine(.memoryLimit)
    } else if bytes > lineBytesMax, !hasLongLine {
      hasLongLine = owner.longLineBegins(self)
      if !hasLongLine { refuseLine(.longLines) }
    }
  }

  private func refuseLine(_ why: LineRefusal) {
    endLongLine()
    framer.discardLine()
    account()
    owner.lineRefused(self, why)
  }

  func endLongLine() {
    if hasLongLine { owner.longLineEnded(self) }
    hasLongLine = false
  }
}
