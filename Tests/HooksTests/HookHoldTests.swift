// Owns: the tests of how sure a worker's hold on events is.

import Testing

@testable import Hooks

struct HookHoldTests {
  private static let sureMs = HookHold.sureMs

  @Test func `a hold is sure for less than a lease, and a claim of all confirms it`() {
    #expect(Self.sureMs < ReadHookCall.leaseMs)
    var hold = HookHold(nowMs: 0)
    #expect(hold.isSure(nowMs: Self.sureMs - 1) && !hold.isSure(nowMs: Self.sureMs))
    hold.claimBegan(nowMs: 5_000, calls: 2)
    hold.claimAnswered(isConfirmed: true)
    #expect(hold.isClaiming && !hold.isSure(nowMs: 5_000), "one call has not answered")
    hold.claimAnswered(isConfirmed: true)
    #expect(!hold.isClaiming && hold.isSure(nowMs: 5_000 + Self.sureMs - 1))
    #expect(!hold.isSure(nowMs: 5_000 + Self.sureMs), "from when it was begun")
  }

  @Test func `a claim that failed in part confirms nothing, and one of nothing all`() {
    var hold = HookHold(nowMs: 0)
    hold.claimBegan(nowMs: 5_000, calls: 2)
    hold.claimAnswered(isConfirmed: false)
    hold.claimAnswered(isConfirmed: true)
    #expect(!hold.isClaiming && !hold.isSure(nowMs: 5_000))
    hold.claimBegan(nowMs: 6_000, calls: 0)
    #expect(!hold.isClaiming && hold.isSure(nowMs: 6_000))
  }

  @Test func `what came late is held from its read on, whatever a claim says of the rest`() {
    // The worker was stopped between the question and the answer.
    var hold = HookHold(nowMs: 900)
    hold.claimBegan(nowMs: 10_000, calls: 1)
    hold.tookEvents(readAtMs: 1_000)
    hold.claimAnswered(isConfirmed: true)
    #expect(!hold.isSure(nowMs: 10_000))
    hold.claimBegan(nowMs: 10_100, calls: 1)
    hold.claimAnswered(isConfirmed: true)
    #expect(hold.isSure(nowMs: 10_100))
    hold.tookEvents(readAtMs: 10_200)
    #expect(hold.isSure(nowMs: 10_100 + Self.sureMs - 1), "it is held longer than the rest")
  }
}
