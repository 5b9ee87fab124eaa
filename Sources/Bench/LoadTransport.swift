// Owns: how callers reach what is measured: plainly, or by TLS. A value; the loop's thread.

import Loop

/// The way of all callers of a load.
struct LoadTransport {
  private let context: TLSContext?
  private let host: String

  /// By TLS, with the authority of that file; plainly without one.
  init(_ authority: String?, to address: Address) throws(LoadFailure) {
    if case .tcp(let host, _) = address { self.host = host } else { host = "" }
    guard let authority else {
      context = nil
      return
    }
    do throws(TLSError) {
      context = try TLSContext(.client, TLSFiles(authorities: authority))
    } catch {
      throw LoadFailure(error.description)
    }
  }

  /// A transport over a connected socket, which goes on with an earlier session.
  func over(_ socket: Socket, resuming ticket: TLSTicket? = nil) -> Transport {
    guard let context else { return Transport(plain: socket) }
    return Transport(client: context, socket, host: host, resuming: ticket)
  }
}
