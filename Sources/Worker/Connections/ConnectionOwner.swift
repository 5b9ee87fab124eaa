// Owns: what a connection needs from the loop that serves it. No state; the loop's thread.

internal import Loop
internal import Wire

/// Why a line is thrown away that is within its limit.
enum LineRefusal {
  /// There are as many over the usual limit as there may be.
  case longLines
  /// The worker keeps too much for its callers.
  case crowded
}

/// What a connection needs from the loop that serves it.
protocol ConnectionOwner: AnyObject {
  /// Bytes for reading into, good during one event.
  var readBuffer: UnsafeMutableRawBufferPointer { get }
  /// A line is there; the bytes are good during the call.
  func lineReceived(_ connection: Connection, _ line: UnsafeBufferPointer<UInt8>)
  /// It has begun as another protocol's; nothing that it has sent may be taken for a request.
  func otherProtocolFound(_ connection: Connection, _ other: OtherProtocol)
  /// A line was over its limit.
  func lineTooLong(_ connection: Connection, limitBytes: Int)
  /// A line over the usual limit is coming, which its verb may have; whether there is room for it.
  func longLineBegins(_ connection: Connection) -> Bool
  /// What `longLineBegins` had room for is over.
  func longLineEnded(_ connection: Connection)
  /// A line is thrown away because there is no room for it.
  func lineRefused(_ connection: Connection, _ why: LineRefusal)
  /// Whether the worker keeps too much for its callers, so that none may have more than a little.
  var isCrowded: Bool { get }
  /// So many bytes more than before are kept for a caller.
  func keeps(more bytes: Int)
  /// It is not read from because it is crowded; call its `reconsider` now and then.
  func heldBack(_ connection: Connection)
  /// Its proxy has told whose it is; nil if the proxy speaks for itself.
  func proxied(_ connection: Connection, from peer: PeerAddress?)
  /// It has not begun with a proxy's header.
  func proxyHeaderMissing(_ connection: Connection)
  /// There is something to send at the end of the turn.
  func hasOutput(_ connection: Connection)
  /// A parked connection may go on; call its `resume` when all is settled.
  func resumeLater(_ connection: Connection)
  /// The kernel has all of a reply that was a hand-over.
  func handedOver(_ connection: Connection)
  /// The kernel has all of its output, which was to be announced.
  func outputSent(_ connection: Connection)
  /// It has had its share of this turn; call its `release` in the next one.
  func yields(_ connection: Connection)
  /// Its caller has closed its side, or has gone; which of the two cannot be told.
  func inputEnded(_ connection: Connection)
  /// Its caller was told that nothing more comes; end it if it does not close its side soon.
  func lingers(_ connection: Connection)
  /// The connection is closed; forget it.
  func closed(_ connection: Connection, _ reason: CloseReason)
  func takeBuffer() -> [UInt8]
  func giveBack(_ buffer: inout [UInt8])
}
