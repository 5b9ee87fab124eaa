// Owns: which settings of a worker its scripts get as constants. A value; any thread.

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
}
