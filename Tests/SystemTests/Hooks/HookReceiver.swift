// Owns: a receiver of webhooks: a real HTTP server on loopback that answers as the test has it.

import Foundation
import Glibc

/// What a receiver got in one request.
struct ReceivedHook: Sendable {
  let headers: [String: String]
  let body: String
  let status: Int?

  /// The CloudEvent.
  var event: JSON { get throws { try JSON(body) } }
  var id: String { headers["latchkey-event-id"] ?? "" }
}

/// A receiver; a thread for each connection.
final class HookReceiver: Sendable {
  /// The treatment of a request.
  enum Answer: Sendable, Equatable {
    case status(Int)
    case redirect(String)
    /// The end of the connection instead of an answer.
    case close
    /// No answer until the receiver stops, or answers otherwise.
    case hang
  }

  let port: Int
  private let listener: Int32
  private let isStopped = Shared(false)
  private let deliveries = Shared<[ReceivedHook]>([])
  private let behaviour: Shared<@Sendable (ReceivedHook) -> Answer>

  init(_ answer: Answer = .status(204)) throws {
    (listener, port) = try TestSocket.listen()
    behaviour = Shared { _ in answer }
    let (listener, isStopped) = (listener, isStopped)
    TestThreads.start { [self] in
      while !isStopped.value {
        guard let socket = try? TestSocket.accept(listener, within: .milliseconds(50)) else {
          continue
        }
        let descriptor = socket.release()
        TestThreads.start { [self] in
          guard let socket = try? TestSocket(adopting: descriptor) else { return }
          serve(socket)
        }
      }
      Glibc.close(listener)
    }
  }

  func stop() { isStopped.value = true }

  var url: String { "http://127.0.0.1:\(port)/in" }

  /// All requests with a whole body, in their order.
  var all: [ReceivedHook] { deliveries.value }
  /// Those that were answered with 2xx.
  var taken: [ReceivedHook] { all.filter { 200..<300 ~= $0.status ?? 0 } }
  var takenIDs: [String] { taken.map(\.id) }

  func answer(_ answer: Answer) { behaviour.value = { _ in answer } }
  func answer(_ choose: @escaping @Sendable (ReceivedHook) -> Answer) { behaviour.value = choose }

  private func serve(_ socket: TestSocket) {
    var bytes: [UInt8] = []
    while !isStopped.value {
      guard let request = take(&bytes) else {
        guard let more = try? socket.receive(within: .milliseconds(50)) else { continue }
        if more.isEmpty { return }
        bytes += more
        continue
      }
      var answer = behaviour.value(request)
      while answer == .hang, !isStopped.value {
        pause(ms: 5)
        answer = behaviour.value(request)
      }
      guard reply(to: request, answer, socket) else { return }
    }
  }

  /// Answers a request; false if the connection ends.
  private func reply(
    to request: ReceivedHook, _ answer: Answer, _ socket: TestSocket
  ) -> Bool {
    var (status, more) = (0, "")
    switch answer {
    case .status(let number): status = number
    case .redirect(let place): (status, more) = (302, "Location: \(place)\r\n")
    case .close, .hang: break
    }
    let known = ReceivedHook(
      headers: request.headers, body: request.body, status: status == 0 ? nil : status)
    deliveries.update { $0.append(known) }
    guard status != 0 else { return false }
    let text = "HTTP/1.1 \(status) x\r\nContent-Length: 0\r\n\(more)\r\n"
    return (try? socket.send(Array(text.utf8))) != nil
  }

  /// Takes a whole request from the bytes that came.
  private func take(_ bytes: inout [UInt8]) -> ReceivedHook? {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
    var headers: [String: String] = [:]
    for line in head.components(separatedBy: "\r\n") {
      guard let colon = line.firstIndex(of: ":") else {
        headers["request"] = line
        continue
      }
      headers[line[..<colon].lowercased()] = line[line.index(after: colon)...]
        .trimmingCharacters(in: .whitespaces)
    }
    let length = Int(headers["content-length"] ?? "") ?? 0
    guard bytes.count >= end.upperBound + length else { return nil }
    let body = bytes[end.upperBound..<(end.upperBound + length)]
    bytes.removeFirst(end.upperBound + length)
    return ReceivedHook(headers: headers, body: String(decoding: body, as: UTF8.self), status: nil)
  }
}
