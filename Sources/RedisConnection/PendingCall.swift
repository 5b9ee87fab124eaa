// Owns: the calls that a connection has sent or will send, and the order in which they may be sent.
// Values; any thread.

internal import Scripts

/// A call of a script that serves one request, kept so that it can be sent again with its text.
struct SingleCall {
  let script: Script
  let keys: [String]
  /// The words behind the keys.
  let arguments: CommandBuffer
  let handler: RedisConnection.Handler
}

/// A call that is sent, or to be sent, and the deadline of its answer.
struct PendingCall {
  enum Expectation {
    case greeting
    /// What the server says it is, on a connection that serves.
    case identity
    case batch(Batch)
    case call(RedisConnection.Handler)
    case script(SingleCall)
    /// Nothing is asked but an answer, behind all calls before it.
    case fence(RedisConnection.Handler)
    /// How many replicas have what was changed before it.
    case acks
    /// Its callers have got an error: the reply is dropped. The sequence is a batch's.
    case givenUp(batch: UInt64?)
  }

  private(set) var expectation: Expectation
  let deadlineMs: Int64
  /// In monotonic ms.
  var sentMs: Int64 = 0
  /// Whether it was sent again already because its script was missing.
  var isReloaded = false

  init(expectation: Expectation, deadlineMs: Int64) {
    self.expectation = expectation
    self.deadlineMs = deadlineMs
  }

  /// Has the reply be dropped when it comes.
  mutating func giveUp() {
    guard case .batch(let batch) = expectation else { return expectation = .givenUp(batch: nil) }
    expectation = .givenUp(batch: batch.sequence)
  }

  var isGivenUp: Bool {
    guard case .givenUp = expectation else { return false }
    return true
  }

  var isBatch: Bool {
    guard case .batch = expectation else { return false }
    return true
  }

  /// Whether it has a caller, which can get an error in place of the reply.
  var isOfCaller: Bool {
    switch expectation {
    case .batch, .script, .call, .fence: true
    case .greeting, .identity, .acks, .givenUp: false
    }
  }

  /// The failure in place of a reply that is no error, of a server that is not the one for work;
  /// nil if the reply counts all the same: the server has made a change.
  func failure(ofServer reason: String) -> RedisFailure? {
    switch expectation {
    case .greeting, .identity, .call, .fence: .noAnswer(reason)
    case .acks, .givenUp: nil
    case .batch(let batch): batch.script.isReadOnly ? .notSent(reason) : nil
    case .script(let call): call.script.isReadOnly ? .notSent(reason) : nil
    }
  }

  /// The script that it calls.
  private var script: Script? {
    switch expectation {
    case .batch(let batch): batch.script
    case .script(let call): call.script
    case .greeting, .identity, .call, .fence, .acks, .givenUp: nil
    }
  }

  /// Whether it may change something.
  var isChange: Bool { script.map { !$0.isReadOnly } ?? false }

  /// Writes a call of a script; `begin` appends the command and how Redis finds the script.
  ///
  /// With `isRouted` a call whose keys may be of several slots declares one only, as its route; all
  /// of them and their number stand behind the arguments.
  func encode(
    into out: inout CommandBuffer, isRouted: Bool,
    _ begin: (Script, inout CommandBuffer) -> Void
  ) {
    guard isRouted, script?.spansPartitions == true else { return encode(into: &out, begin) }
    switch expectation {
    case .batch(let batch):
      out.begin(words: 5 + batch.count + batch.count * batch.script.argumentsPerRequest)
      begin(batch.script, &out)
      out.word("1")
      out.encoded(batch.route?.key ?? batch.firstKey)
      out.encoded(batch.arguments)
      out.encoded(batch.keys)
      out.word(Int64(batch.count))
    case .script(let call):
      out.begin(words: 5 + call.keys.count + call.arguments.wordCount)
      begin(call.script, &out)
      out.word("1")
      out.word(call.keys[0])
      out.encoded(call.arguments)
      for word in call.keys { out.word(word) }
      out.word(Int64(call.keys.count))
    case .greeting, .identity, .call, .fence, .acks, .givenUp: encode(into: &out, begin)
    }
  }

  private func encode(
    into out: inout CommandBuffer, _ begin: (Script, inout CommandBuffer) -> Void
  ) {
    switch expectation {
    case .batch(let batch):
      out.begin(words: 3 + batch.count + batch.count * batch.script.argumentsPerRequest)
      begin(batch.script, &out)
      out.word(Int64(batch.count))
      out.encoded(batch.keys)
      out.encoded(batch.arguments)
    case .script(let call):
      out.begin(words: 3 + call.keys.count + call.arguments.wordCount)
      begin(call.script, &out)
      out.word(Int64(call.keys.count))
      for word in call.keys { out.word(word) }
      out.encoded(call.arguments)
    case .fence: out.command("PING")
    case .greeting, .identity, .call, .acks, .givenUp:
      preconditionFailure("what calls no script is not sent by its name")
    }
  }
}

/// The calls that may be sent, where scripts are called by hash.
///
/// Redis may have forgotten one script and not another. So a call is sent only when the earlier
/// calls of its callers have been answered: else it might run, and an earlier one come back as
/// missing and run after it.
struct CallOrder {
  /// The sequences of the batches that are with Redis.
  private var unanswered: [UInt64] = []

  mutating func sent(_ call: PendingCall) {
    if case .batch(let batch) = call.expectation { unanswered.append(batch.sequence) }
  }

  mutating func answered(_ batch: UInt64) { unanswered.removeAll { $0 == batch } }

  mutating func reset() { unanswered.removeAll(keepingCapacity: true) }

  func maySend(_ call: PendingCall) -> Bool {
    switch call.expectation {
    case .batch(let batch): unanswered.allSatisfy { $0 > batch.follows }
    case .script: unanswered.isEmpty
    case .greeting, .identity, .call, .fence, .acks, .givenUp: true
    }
  }
}
