// Owns: what a verb, and what goes on after it, may ask of its surroundings. Verbs know this and
// neither the loop that serves them nor its connections. The loop's thread.

package import Access
internal import Deadlines
package import Events
package import Metrics
package import RedisConnection
package import SessionModel
package import Store
package import Wire

/// Gets the reply to a line that was run in place of a request's own; returns whether the request
/// goes on, and is answered later.
package typealias ReplyTaker = (Outcome, UnsafeBufferPointer<UInt8>) -> Bool

/// The surroundings of a request.
package protocol RequestContext: AnyObject {
  /// The shared state of the worker: its settings, its name, its figures.
  var shared: SharedState { get }
  /// The way to Redis.
  var store: Store { get }
  /// Watching and waiting for events.
  var events: any EventService { get }
  /// Waiting for turns.
  var waits: WaitQueue { get }
  /// The large sessions that are read in parts.
  var largeReads: LargeReads { get }
  /// Monotonic ms of this turn.
  var nowMs: Int64 { get }
  /// The id of a session that is to be made, with the mark of its device.
  func nextSessionID(mark: UInt16) -> String
  /// Runs a line in place of the one that a request of this caller has come with.
  ///
  /// `takes` gets its reply; where it returns true, the request is not answered by that.
  func run(
    _ line: [UInt8], for caller: any RequestCaller, _ ticket: Ticket, takes: @escaping ReplyTaker)
  /// Answers with a whole reply line, its end included.
  func answer(_ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>)
  func answer(_ ticket: Ticket, _ error: RequestError)
  /// Answers with a reply line without its end.
  ///
  /// One that `onlyReads` is refused if it is long under memory pressure: nothing was changed.
  func answerText(_ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>, onlyReads: Bool)
  /// Answers AUTH: says who is calling, or that the secret or token is invalid.
  func authenticate(
    _ ticket: Ticket, _ kind: CredentialKind, _ text: UnsafeBufferPointer<UInt8>
  ) throws(RequestError)
  /// Whether there is memory pressure, so that none may keep more than a little.
  var hasMemoryPressure: Bool { get }
  /// So many bytes more than before are kept for a caller.
  func keeps(more bytes: Int)
}

extension RequestContext {
  /// Notes that something in the partition has a deadline after so long.
  ///
  /// Not before Redis has answered: a reap that overtakes the change finds nothing, and only the
  /// sweep comes again.
  package func note(_ partition: Partition, dueInMs ms: Int64) {
    shared.deadlines.note(partition, inMs: ms, nowMs: nowMs)
  }
}
