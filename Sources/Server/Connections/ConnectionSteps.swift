// Owns: which lines of a connection are taken while earlier requests may take more steps, and how
// lines that came in pieces are. Runs on its loop's thread.

internal import Wire

extension Connection {
  func beginStep(verb: Int, _ device: String) { steps.begin(verb: verb, device.utf8) }

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
  private func mayTake(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    let isLarge = line.count > Connection.largeLineBytes
    guard !steps.isEmpty, isLarge || !owner.mayFollow(steps, line) else { return true }
    steps.hasWaitingLine = true
    hold()
    return false
  }
}
