// Owns: the control loop's handling of the files of TLS and of Redis' password: at the start, and
// when they are replaced. Runs on the main thread.

internal import Loop
internal import RedisConnection
internal import Service
internal import Settings
internal import Synchronization

extension Control {
  /// How often the files are looked at that are read again when they change.
  private static let fileCheckMs: Int64 = 1_000

  /// Reads the files by which callers speak TLS; nil if they do not.
  static func tls(_ settings: Settings) throws(StartError) -> TLSContext? {
    guard settings.takesTLS else { return nil }
    do throws(TLSError) { return try TLSContext(.server, settings.tls) } catch {
      throw StartError(text: "--tls-cert and --tls-key: \(error)")
    }
  }

  /// A file that is missing at the start is a mistake; later one, it may be on its way.
  static func checkFiles(
    of setup: RedisSetup, hookAuthorities: String?
  ) throws(StartError) {
    var setup = setup
    do throws(FileError) { try setup.readPassword() } catch {
      throw StartError(text: "--redis-password-file: \(error)")
    }
    do throws(FileError) { try setup.checkSentinelPassword() } catch {
      throw StartError(text: "--sentinel-password-file: \(error)")
    }
    if let authorities = hookAuthorities {
      do throws(TLSError) { _ = try TLSContext(.client, TLSFiles(authorities: authorities)) } catch
      {
        throw StartError(text: "--hook-ca: \(error)")
      }
    }
    guard setup.endpoint.usesTLS else { return }
    do throws(TLSError) { _ = try setup.tls.context() } catch {
      throw StartError(text: "--redis-ca, --redis-cert and --redis-key: \(error)")
    }
  }

  /// Reads files again that have changed: those of TLS, and the keys of tokens and of sealed
  /// values.
  func watchFiles() {
    let files = [settings.jwtKeysFile, settings.sealKeysFile, settings.ticketKeysFile]
    guard settings.takesTLS || files.contains(where: { $0 != nil }) else { return }
    fileCheck = LoopTimer(loop) { [unowned self] in
      fileCheck?.set(afterMs: Control.fileCheckMs)
      if settings.takesTLS { reloadTLS(isAsked: false) }
      reloadTokenKeys(isAsked: false)
      reloadSealKeys(isAsked: false)
      reloadTicketKeys(isAsked: false)
    }
    fileCheck?.set(afterMs: Control.fileCheckMs)
  }

  /// Reads the files again; connections go on with what they have.
  ///
  /// A renewal replaces one file after the other: until both match, those from before stay.
  func reloadTLS(isAsked: Bool) {
    do throws(TLSError) {
      let known = shared.tls.withLock { $0 }
      guard let made = try known?.renewed(from: settings.tls) else {
        if isAsked { log.info("the files of TLS are as they were") }
        return
      }
      shared.tls.withLock { $0 = made }
      log.info("the files of TLS were read again")
    } catch {
      log.repeated(
        .error, "the files of TLS could not be read again; those from before stay",
        cause: error.description, ["error": error.description])
    }
  }
}
