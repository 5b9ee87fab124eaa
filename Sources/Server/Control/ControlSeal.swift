// Owns: the control loop's handling of the keys by which values are sealed: at the start, and when
// their file is replaced. Runs on the main thread.

internal import Loop
internal import Seal
internal import Service
internal import Settings

extension Control {
  /// Reads the keys; nil without `--seal-keys`.
  static func seal(_ settings: Settings) throws(StartError) -> Seal? {
    guard let path = settings.sealKeysFile else { return nil }
    do throws(SealKeysError) {
      return Seal(try SealKeys.load(path), namespace: settings.namespace)
    } catch {
      throw StartError(text: "--seal-keys: \(error)")
    }
  }

  /// Reads the file again; a broken one leaves the keys as they are.
  func reloadSealKeys(isAsked: Bool) {
    guard let path = settings.sealKeysFile, let seal = shared.seal else { return }
    do throws(SealKeysError) {
      let keys = try SealKeys.load(path)
      guard keys != seal.keys else {
        if isAsked { log.info("the keys of --seal-keys are as they were") }
        return
      }
      seal.replace(keys)
      log.info(
        "the keys of --seal-keys were read again",
        ["seals": keys.ids[0], "keys": keys.ids.joined(separator: ",")])
    } catch {
      log.repeated(
        .error, "the keys of --seal-keys could not be read again; those from before stay",
        cause: error.description, ["error": error.description])
    }
  }
}
