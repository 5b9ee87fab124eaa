// Owns: what a connection needs from the loop that serves it. No state; the loop's thread.

internal import Loop
internal import Metrics
internal import Service
internal import Wire

/// Why a line is discarded that is within its limit.
enum LineRefusal {
  /// There are as many over the usual limit as there may be.
  case longLines
  /// Memory pressure.
  case memoryLimit
}

/// The callbacks of a connection to the loop that serves it.
protocol ConnectionOwner: AnyObject {
  /// Bytes for reading into, good during one event.
  var readBuffer: UnsafeMutableRawBufferPointer { get }
  /// A line is there; the bytes are good during the call.
  func lineReceived(_ connection: Connection, _ line: UnsafeBufferPointer<UInt8>)
  /// A line over `Connection.largeLineBytes` is there; call its `largeLineRead` when that was read.
  func largeLineReceived(_ connection: Connection, _ line: [UInt8])
  /// Whether a line may be taken as a request while those of a run are under way.
  func mayFollow(_ run: StepRun, _ line: UnsafeBufferPointer<UInt8>) -> Bool
  /// It has begun as another protocol's; nothing that it has sent may be taken for a request.
  func otherProtocolFound(_ connection: Connection, _ other: OtherProtocol)
  /// The verbs, to find that of a request of HTTP.
  var verbs: VerbTable { get }
  /// The head of a request of HTTP has come: its origin and its principal are found, or it is
  /// refused; returns whether it is a browser's preflight.
  func httpBegins(
    _ connection: Connection, _ http: HTTPWire, _ head: HTTPHead
  ) throws(HTTPRefusal) -> Bool
  /// What its responses of HTTP have in common now.
  var httpFields: HTTPCommonFields { get }
  /// A request of HTTP is answered with a refusal; the connection of a malformed one ends.
  func httpRefused(_ connection: Connection, _ refusal: HTTPRefusal, isMalformed: Bool)
  /// Whether the worker has been signalled to stop, so that no request is to follow.
  var isStopping: Bool { get }
  /// A line was over its limit.
  func lineTooLong(_ connection: Connection, limitBytes: Int)
  /// A line over the usual limit is coming, which its verb may have; returns whether there is room
  /// for it.
  func longLineBegins(_ connection: Connection) -> Bool
  /// The line that `longLineBegins` admitted is over.
  func longLineEnded(_ connection: Connection)
  /// A line is discarded because there is no room for it.
  func lineRefused(_ connection: Connection, _ why: LineRefusal)
  /// Whether there is memory pressure, so that none may keep more than a little.
  var hasMemoryPressure: Bool { get }
  /// So many bytes more than before are kept for a caller.
  func keeps(more bytes: Int)
  /// It is not read because of memory pressure; call its `reconsider` now and then.
  func readingPaused(_ connection: Connection)
  /// Its proxy has named the peer; nil if the proxy speaks for itself.
  func proxied(_ connection: Connection, from peer: PeerAddress?)
  /// It has not begun with a proxy's header.
  func proxyHeaderMissing(_ connection: Connection)
  /// It speaks without TLS where that is needed.
  func tlsMissing(_ connection: Connection)
  /// Its TLS handshake failed; the connection is closed next.
  func handshakeFailed(_ connection: Connection, _ reason: String)
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
  /// Its caller has closed its side, or the connection is broken; the two cannot be distinguished.
  func inputEnded(_ connection: Connection)
  /// Its caller has been sent the end of the stream; close it if it does not close its side soon.
  func lingers(_ connection: Connection)
  /// The connection is closed; forget it.
  func closed(_ connection: Connection, _ reason: CloseReason)
  func takeBuffer() -> [UInt8]
  func giveBack(_ buffer: inout [UInt8])
}
