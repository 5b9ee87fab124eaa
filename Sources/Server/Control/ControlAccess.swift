// Owns: the control loop's handling of the principals: at the start, and when their file is
// reloaded. Runs on the main thread.

package import Access
internal import Loop
internal import Service
package import Settings
internal import Synchronization

extension Control {
  /// Reads the principals; nil without `--auth`, which other machines must not reach by accident.
  package static func principals(_ settings: Settings) throws(StartError) -> Principals? {
    guard let path = settings.authFile else {
      try requireLoopback(settings)
      return nil
    }
    do throws(PrincipalFileError) {
      return try PrincipalFile.load(path, deviceIDs: settings.deviceIDs)
    } catch {
      throw StartError(text: "--auth: \(error)")
    }
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

  /// Reads the files again, after SIGHUP.
  package func reload() {
    if settings.takesTLS { reloadTLS(isAsked: true) }
    guard let path = settings.authFile else {
      if !settings.takesTLS { log.info("SIGHUP: without --auth there is nothing to reload") }
      return
    }
    do throws(PrincipalFileError) {
      let principals = try PrincipalFile.load(path, deviceIDs: settings.deviceIDs)
      shared.principals.withLock { $0 = principals }
      shared.setReloadFailed(false)
      for orders in serving { orders.post(.principalsChanged) }
      log.info("the principals were read again", ["count": "\(principals.count)"])
    } catch {
      shared.setReloadFailed(true)
      log.error(
        "the principals could not be read again; those from before stay",
        ["error": error.description])
    }
  }
}
