// Owns: what a worker's life does not change: the settings that its scripts get as constants, and
// its name. Values; any thread.

internal import Glibc
internal import Scripts
internal import Settings

extension Control {
  static func constants(_ settings: Settings) -> ScriptConstants {
    var constants = ScriptConstants(
      reqKeepMs: settings.reqKeepMs, eventsMax: settings.eventsMax)
    constants.eventBytesMax = settings.eventBytesMax
    constants.groupKeepMs = settings.groupKeepMs
    constants.sessionsMax = settings.sessionsMax
    constants.chatsMax = settings.chatsMax
    constants.messagesMax = settings.messagesMax
    constants.documentsMax = settings.documentsMax
    constants.fieldsMax = settings.fieldsMax
    constants.linksMax = settings.linksMax
    constants.sharesMax = settings.sharesMax
    constants.waitingMax = settings.waitingMax
    return constants
  }

  /// Host, process and start in one word.
  static func makeWorkerID() -> String {
    var host = [CChar](repeating: 0, count: 65)
    gethostname(&host, 64)
    let name = host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let start = String(UInt32.random(in: .min ... .max), radix: 16)
    return "\(String(decoding: name, as: UTF8.self))-\(getpid())-\(start)"
  }
}
