// RECOVER: a paused or abandoned session becomes active again.

internal import RedisConnection
internal import Scripts
internal import Wire

enum RecoverVerb {
  /// What to look for, and what to make if there is nothing.
  private static let ofDevice: [OptionName] =
    [.hint, .user, .name, .thread, .phase, .step] + OptionName.clocks + [.fenced]

  static let verb = Verb(
    name: "RECOVER", rights: .write, words: [.session], options: ofDevice + [.token, .req],
    payload: .optionalObject,
    summary: "Makes a paused or abandoned session active; with a device alone, the best one.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    guard address.session == nil else {
      try refuseMore(call)
      try call.run(.recover, dueInMs: 0) { arguments in
        arguments.word(address.device)
        arguments.word(orEmpty: address.session)
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.requestKey)
      }
      return
    }
    try recoverLatest(call, try NewSession(call))
  }

  /// Nobody should think that a session which is there was given what he said of a new one.
  private static func refuseMore(_ call: borrowing Call) throws(RequestError) {
    if let option = ofDevice.first(where: { call.option($0) != nil }) {
      throw RequestError(
        .badRequest, "\(option.text)= goes with RECOVER of a device, not of a session")
    }
    guard call.payload == nil else {
      throw RequestError(
        .badRequest, "a payload goes with RECOVER of a device, not of a session")
    }
  }

  private static func recoverLatest(_ call: borrowing Call, _ new: NewSession) throws(RequestError)
  {
    guard call.option(.user) != nil else {
      try call.run(.recoverLatest, dueInMs: 0) { arguments in
        arguments.word(call.word(0))
        arguments.word(orEmpty: call.option(.hint))
        for word in new.words { arguments.word(word) }
        arguments.emptyWord()
        arguments.emptyWord()
        arguments.word(orEmpty: call.number(.token))
        arguments.word(orEmpty: call.requestKey)
      }
      return
    }
    let (partition, user) = (call.partition, call.text(.user))
    let first = [call.text(0), call.text(.hint)] + new.words + [user]
    let last = [call.numberText(.token), call.requestKeyText]
    try LinkedChange(call, .user(user), dueInMs: 0) { isReserved, _ in
      ScriptQuery(
        .recoverLatest, at: partition, first + [isReserved ? "yes" : ""] + last)
    }
  }
}
