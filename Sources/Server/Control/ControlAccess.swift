// Owns: the control loop's handling of who may call: the file of principals and that of the keys of
// tokens, at the start, and when they are reloaded. Runs on the main thread.

package import Access
package import Loop
internal import Service
package import Settings
internal import Synchronization

extension Control {
  /// Reads the principals and the keys of tokens; nil without either, which other machines must not
  /// reach by accident.
  package static func principals(
    _ settings: Settings, _ log: Log
  ) throws(StartError) -> Principals? {
    guard settings.asksWhoCalls else {
      try requireLoopback(settings)
      return nil
    }
    var principals = Principals([])
    if let path = settings.authFile {
      do throws(PrincipalFileError) {
        principals = try PrincipalFile.load(path, deviceIDs: settings.deviceIDs)
      } catch {
        throw StartError(text: "--auth: \(error)")
      }
    }
    guard let path = settings.jwtKeysFile else { return principals }
    do throws(TokenKeysError) {
      principals = principals.with(TokenVerifier(try TokenKeys.load(path), TokenRules(settings)))
    } catch {
      throw StartError(text: "--jwt-keys: \(error)")
    }
    if settings.jwtAudiences.isEmpty {
      log.warn("tokens that were issued for other services are taken: --jwt-aud is not set")
    }
    return principals
  }

  private static func requireLoopback(_ settings: Settings) throws(StartError) {
    guard !settings.isInsecure else { return }
    for place in [settings.listen, settings.http].compactMap({ $0 }) {
      try requireLoopback(place)
    }
  }

  private static func requireLoopback(_ place: HostPort) throws(StartError) {
    let address: SocketAddress
    do throws(SystemError) { address = try SocketAddress.resolve(place.address) } catch {
      throw StartError(text: "cannot listen on \(place): \(error)")
    }
    guard !address.isLoopback else { return }
    throw StartError(
      text: "other machines can reach \(place), and without --auth all of them may call: "
        + "give --auth FILE, or --insecure if only trusted machines are on that network")
  }

  /// Whether only this machine can reach a place, as far as is known.
  static func isLoopback(_ place: HostPort) -> Bool {
    do throws(SystemError) { return try SocketAddress.resolve(place.address).isLoopback } catch {
      return false
    }
  }

  /// Opens the file of the audit; nil without one.
  static func audit(_ settings: Settings) throws(StartError) -> AuditLog? {
    guard let path = settings.auditFile else { return nil }
    do throws(FileError) { return try AuditLog(path, format: settings.logFormat) } catch {
      throw StartError(text: "--audit: \(error)")
    }
  }

  private func reopenAudit() {
    guard let audit = shared.audit else { return }
    do throws(FileError) { try audit.reopen() } catch {
      log.error(
        "the file of the audit could not be opened again; lines go where they went",
        ["error": error.description])
    }
  }

  /// Reads the files again, after SIGHUP.
  package func reload() {
    reopenAudit()
    if settings.takesTLS { reloadTLS(isAsked: true) }
    if settings.jwtKeysFile != nil { reloadTokenKeys(isAsked: true) }
    reloadSealKeys(isAsked: true)
    reloadTicketKeys(isAsked: true)
    guard let path = settings.authFile else {
      let files = [settings.jwtKeysFile, settings.sealKeysFile, settings.ticketKeysFile]
      if !settings.takesTLS, files.allSatisfy({ $0 == nil }) {
        log.info("SIGHUP: without --auth there is nothing to reload")
      }
      return
    }
    do throws(PrincipalFileError) {
      let read = try PrincipalFile.load(path, deviceIDs: settings.deviceIDs)
      changePrincipals { read.with($0.tokens) }
      shared.setReloadFailed(false)
      log.info("the principals were read again", ["count": "\(read.count)"])
    } catch {
      shared.setReloadFailed(true)
      log.error(
        "the principals could not be read again; those from before stay",
        ["error": error.description])
    }
  }

  /// Reads the keys of tokens again; connections by tokens of keys that stay go on.
  func reloadTokenKeys(isAsked: Bool) {
    guard let path = settings.jwtKeysFile,
      let known = shared.principals.withLock({ $0?.tokens?.keys })
    else { return }
    do throws(TokenKeysError) {
      let renewed = try known.renewed(from: path)
      shared.jwtReloadFailed.store(false, ordering: .relaxed)
      guard let renewed else {
        if isAsked { log.info("the keys of tokens are as they were") }
        return
      }
      let tokens = TokenVerifier(renewed, TokenRules(settings))
      changePrincipals { $0.with(tokens) }
      log.info("the keys of tokens were read again", ["count": "\(renewed.count)"])
    } catch {
      shared.jwtReloadFailed.store(true, ordering: .relaxed)
      log.repeated(
        .error, "the keys of tokens could not be read again; those from before stay",
        ["error": error.description])
    }
  }

  private func changePrincipals(_ change: (Principals) -> Principals) {
    shared.principals.withLock { $0 = $0.map(change) }
    for orders in serving { orders.post(.principalsChanged) }
  }
}
