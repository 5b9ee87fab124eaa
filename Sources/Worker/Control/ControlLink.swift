// Owns: the control loop's own link to Redis, apart from those that carry callers' requests.
// Runs on the main thread.

internal import Loop
internal import RedisLink
internal import Scripts

/// A link for what the worker does by itself.
final class ControlLink: RedisLinkOwner {
  enum News {
    case up
    case down(String)
    case refused(String)
  }

  private let timeoutMs: Int64
  private let tell: (News) -> Void
  private var link: RedisLink?

  init(_ loop: EventLoop, _ setup: LinkSetup, _ tell: @escaping (News) -> Void) {
    timeoutMs = setup.requestTimeoutMs
    self.tell = tell
    link = RedisLink(loop, setup, owner: self)
    loop.atTurnEnd { [weak self] in self?.link?.flush() }
  }

  var isReady: Bool { link?.isReady == true }

  func start() { link?.start() }
  func stop() { link?.stop() }

  /// Calls a script; the handler is called exactly once, at once if Redis is away.
  func call(
    _ script: Script, keys: [String], arguments: [String], _ handler: @escaping RedisLink.Handler
  ) {
    guard let link else { return handler(.failure(.notSent("the worker is starting"))) }
    link.call(script, timeoutMs: timeoutMs, keys: keys, arguments: arguments, handler)
  }

  /// Sends a plain command.
  func command(_ words: [String], _ handler: @escaping RedisLink.Handler) {
    guard let link else { return handler(.failure(.notSent("the worker is starting"))) }
    link.call(
      timeoutMs: timeoutMs,
      { out in
        out.begin(words: words.count)
        for word in words { out.word(word) }
      }, handler)
  }

  func linkServes(_ link: RedisLink) { tell(.up) }
  func linkFailed(_ link: RedisLink, reason: String) { tell(.down(reason)) }
  func linkRefused(_ link: RedisLink, reason: String) { tell(.refused(reason)) }
  func batchAnswered(_ link: RedisLink, _ batch: Batch, _ reply: RedisReply) {}
  func batchFailed(_ link: RedisLink, _ batch: Batch, _ failure: LinkFailure) {}
}
