// COPY: a session again, under a new id.

internal import Access
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum CopyVerb {
  static let verb = Verb(
    name: "COPY", rights: .write, words: [.session, .device], options: [.owner, .req],
    summary: "A session with its chats, messages and documents again, under a new id.",
    replies: ["OK", "NONE"], writesEvents: true
  ) { (call) throws(RequestError) in
    let address = call.address
    let settings = call.shared.settings
    let (device, req) = (call.text(1), call.req)
    let (users, fleet) = (call.users, call.fleet)
    let owners = try call.ownersOfCopy()
    let session = call.context.nextSessionID(mark: SessionID.mark(ofDevice: call.device(ofWord: 1)))
    let export = ExportCall(
      device: address.device.kept, session: address.session?.kept,
      bytesMax: Int64(settings.recordBytesMax), showsSealed: false)
    let request = try HeldRequest(call)
    export.read(request, at: call.partition) { outcome in
      guard case .line(let line, _) = outcome, line.starts(with: "OK {".utf8) else {
        return request.end(outcome)
      }
      do throws(RequestError) {
        let record = try ExportedRecord(
          UnsafeBufferPointer(rebasing: line.dropFirst("OK ".utf8.count)), at: 0, settings,
          request.context.shared.seal, isCopy: true, to: device, owners: owners)
        try request.authorize(record.links)
        let copy = ImportCall(
          device: ArgumentText(device), session: ArgumentText(session + (users?.text ?? "")),
          isReplacing: false,
          fields: .owned(record.fields.bytes),
          messages: ImportedMessages(
            parts: record.messages.bytes, areSent: record.isWithoutLinks),
          documents: ImportedMessages(
            parts: record.documents.bytes, areSent: record.isWithoutLinks),
          fleet: fleet, token: nil, req: req)
        guard StagedImport.isLarge(record) else {
          LinkedChange(request, copy, device, dueInMs: 0, isSearch: false)
          return
        }
        StagedImport(request, copy, record, device)
      } catch {
        request.end(.failed(error))
      }
    }
  }
}

extension Call {
  /// The users to one of whom a copy is linked: the one that the request names, or those to whose
  /// sessions it is limited; nil if it keeps the links of the original.
  fileprivate func ownersOfCopy() throws(RequestError) -> UserScope? {
    guard option(.owner) != nil else { return users }
    guard users?.has(text(.owner)) ?? true else {
      throw RequestError(.badRequest, "user= and as= name two users: leave one of them out")
    }
    return UserScope(named: text(.owner))
  }
}
