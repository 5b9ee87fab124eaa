// Owns: the interface of events to verbs, and its needs of the loop and the connections. No state;
// the loop's thread.

package import Access
package import Loop
package import Metrics
package import RedisConnection
package import Store
package import Wire

/// The events, as verbs use them.
package protocol EventService: AnyObject {
  /// Begins a watch; it is answered when nothing can be missed any more.
  func watch(_ watch: Watch, _ ticket: Ticket) throws(RequestError)
  /// Ends all watches of a connection; those that have not begun are answered all the same.
  func unwatch(_ connection: ConnectionID)
  /// Answers a query, at once or when something comes within `waitMs`.
  func query(_ query: EventQuery, _ ticket: Ticket, waitMs: Int64)
}

/// The callbacks of a loop's subscriptions to the loop.
package protocol SubscriptionsOwner: AnyObject {
  var loop: EventLoop { get }
  /// The name of this worker.
  var workerID: String { get }
  /// The way to the tail of the logs.
  var tailRequests: Mailbox<TailRequest> { get }
  /// The way to the subscription to changes.
  var changeRequests: Mailbox<ChangeRequest> { get }
  var counters: Counters { get }
  var store: Store { get }
  /// The connection of this number; nil if it is gone.
  func subscriber(_ id: ConnectionID) -> (any Subscriber)?
  /// Whether events of the device may be shown on this connection.
  func maySee(_ connection: ConnectionID, _ device: [UInt8]) -> Bool
  /// A watch of the connection has ended, and its last line is sent.
  func watchEnded(_ connection: ConnectionID)
  /// Sends an event to a connection that watches.
  func push(_ watch: Watch, _ line: [UInt8])
  /// Answers with a whole reply line, its end included.
  func answer(_ ticket: Ticket, _ line: UnsafeBufferPointer<UInt8>)
  func answer(_ ticket: Ticket, _ error: RequestError)
  /// Answers with a reply line without its end; see `RequestContext`.
  func answerText(_ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>, onlyReads: Bool)
  /// Answers with events of a group; `handedOver` follows when the kernel has all of them.
  func handOver(_ ticket: Ticket, _ text: UnsafeBufferPointer<UInt8>)
  /// A request will not be answered: its caller is gone.
  func forget(_ ticket: Ticket)
}

/// The connection of a request.
package protocol RequestCaller: AnyObject {
  var id: ConnectionID { get }
  /// The authenticated principal; nil before AUTH.
  var principal: Principal? { get }
  /// The principal's mark, as scripts take it for what is counted: `/<mark>`, and where it has as
  /// much as it may `/<has>/<most>` behind that; empty where it is not counted.
  func ownerText(_ kind: PrincipalLimits.Kind) -> String
  /// Takes no further request of this caller until `release`: the latest one takes several steps.
  func hold()
  /// The same for a request that may wait for long: the caller's going away is noticed meanwhile.
  func holdForWait()
  /// Goes on after `hold`.
  func release()
  /// The latest request, of a verb and a device, may take more steps: until `endStep` only those of
  /// the same verb for other devices are taken.
  func beginStep(verb: Int, _ device: String)
  /// The latest request runs others in its own place: until `endStep` none is taken, whatever these
  /// release.
  func beginAlone()
  func endStep()
  /// Answers what is outstanding, then closes.
  func finish(_ reason: CloseReason)
}

/// A connection, as subscriptions know it.
package protocol Subscriber: RequestCaller {
  /// Whether its owner waits for all output to be with the kernel.
  var announcesSent: Bool { get set }
  /// Whether the replies before that of this slot are with the kernel, and nothing else waits.
  func isNext(_ slot: UInt64) -> Bool
  /// Whether a push that may be left out is to be kept for the caller: it reads what it is sent.
  func hasRoom() -> Bool
  /// Closes now.
  func abort(_ reason: CloseReason)
}
