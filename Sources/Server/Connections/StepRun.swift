// Owns: which requests of a connection may follow those whose first steps are under way. A value;
// its loop's thread.

/// Requests of one verb for different devices, each of which may take several steps.
///
/// A later request sees what earlier ones did, so it waits while one of them may go on. Those of a
/// run do not: none can see what the others do. So the RECOVERs that one caller pipelines share
/// calls.
struct StepRun {
  private var verb = 0
  /// The hashes of the devices, without regard to case, in which UUIDs may differ.
  ///
  /// A device that is taken for another one waits.
  private var devices: Set<Int> = []
  private var count = 0
  /// Whether nothing may follow, whatever it is.
  private var isAlone = false
  /// Whether a line waits for their end.
  var hasWaitingLine = false

  /// Whether none is under way.
  var isEmpty: Bool { count == 0 }

  /// Whether a request may begin behind those that are under way.
  func allows(verb: Int, _ device: some Sequence<UInt8>) -> Bool {
    isEmpty || !isAlone && verb == self.verb && !devices.contains(StepRun.hash(device))
  }

  /// Begins a request behind which none may begin until it ends.
  ///
  /// It may run others in its own place, each of which begins and ends here as well.
  mutating func beginAlone() {
    assert(isEmpty)
    isAlone = true
    count = 1
  }

  mutating func begin(verb: Int, _ device: some Sequence<UInt8>) {
    assert(isAlone || allows(verb: verb, device))
    self.verb = verb
    devices.insert(StepRun.hash(device))
    count += 1
  }

  mutating func end() {
    precondition(count > 0, "a step ended that had not begun")
    count -= 1
    guard isEmpty else { return }
    devices.removeAll(keepingCapacity: true)
    isAlone = false
  }

  private static func hash(_ device: some Sequence<UInt8>) -> Int {
    var hasher = Hasher()
    for byte in device { hasher.combine(byte | 0x20) }
    return hasher.finalize()
  }
}
