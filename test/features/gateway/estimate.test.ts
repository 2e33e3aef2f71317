import { describe, expect, test } from 'vitest'
import { estimatePrompt, IMAGE_TOKENS } from '../../../src/features/gateway/estimate.ts'
import { sendable } from '../../../src/features/gateway/text.ts'

const of = (...messages: unknown[]) => estimatePrompt({ messages })
/** What so many bytes of UTF-8 count as one message. */
const message = (bytes: number) => Math.ceil(bytes / 4) + 4

describe('the prompt estimate of the door', () => {
  test('a message is a quarter of its bytes, rounded up, and 4', () => {
    expect(of({ role: 'user', content: '' })).toBe(4)
    expect(of({ role: 'user', content: 'hello' })).toBe(message(5))
    expect(of({ role: 'system', content: 'é🙂' }, { role: 'user', content: 'abcd' })).toBe(
      message(6) + message(4),
    )
    expect(of({ role: 'assistant', content: null })).toBe(4)
  })

  test('typed parts, names, reasoning and tool calls are words, roles and ids are not', () => {
    const parts = [
      { type: 'text', text: 'four' },
      { type: 'text', text: 'more' },
    ]
    expect(of({ role: 'user', name: 'ada', content: parts })).toBe(message(11))
    const call = { id: 'call_123456789', type: 'function', function: { name: 'sum', arguments: '{"a":1}' } }
    expect(of({ role: 'assistant', content: null, tool_calls: [call], reasoning_content: 'hm' })).toBe(
      message(12),
    )
    expect(of({ role: 'tool', tool_call_id: 'call_123456789', content: '42' })).toBe(message(2))
  })

  test('what else the model reads counts by its JSON, what only steers it does not', () => {
    const tools = [{ type: 'function', function: { name: 'sum', parameters: { type: 'object' } } }]
    const messages = [{ role: 'user', content: 'abcd' }]
    const bytes = JSON.stringify(tools).length
    expect(estimatePrompt({ messages, tools })).toBe(message(4) + message(bytes))
    expect(estimatePrompt({ messages, functions: tools, response_format: { type: 'json_object' } })).toBe(
      message(4) + message(bytes) + message(22),
    )
    const steering = { logit_bias: { 5: 1 }, metadata: { a: 'b' }, stop: ['x'], seed: 7, user: 'ada' }
    expect(estimatePrompt({ messages, ...steering })).toBe(message(4))
  })

  test('a picture counts the same whatever its bytes; sound and files a fraction of theirs', () => {
    const picture = (url: string) => ({ type: 'image_url', image_url: { url, detail: 'high' } })
    const text = { type: 'text', text: 'What is this?' }
    const inline = `data:image/png;base64,${'A'.repeat(1_000_000)}`
    for (const url of [inline, 'https://example.com/a.png'])
      expect(of({ role: 'user', content: [text, picture(url)] })).toBe(message(13) + IMAGE_TOKENS)
    expect(of({ role: 'user', content: [picture(inline), picture(inline)] })).toBe(4 + 2 * IMAGE_TOKENS)
    const sound = { type: 'input_audio', input_audio: { data: 'A'.repeat(4000), format: 'mp3' } }
    expect(of({ role: 'user', content: [sound] })).toBe(4 + 3000 / 200)
    const file = { filename: 'a.pdf', file_data: `data:application/pdf;base64,${'A'.repeat(4000)}` }
    expect(of({ role: 'user', content: [{ type: 'file', file }] })).toBe(4 + 2 + 3000 / 8)
  })

  test('words count wherever they hide', () => {
    const words = 'w'.repeat(100_000)
    const hidden: object[] = [
      { type: 'input_audio', input_audio: { data: '' }, content: words },
      { type: 'file', file: { file_data: '' }, content: words },
      { type: 'image', content: words },
      { type: 'image_url', image_url: { url: '' }, content: words },
      { role: words, content: '' },
      { role: 'user', detail: { a: words }, content: '' },
      { role: 'tool', tool_call_id: words, content: '' },
      { role: 'user', [words]: 1, content: '' },
      { role: 'user', content: [{ type: words }] },
      {
        role: 'user',
        content: [{ type: 'image_url', image_url: { url: 'https://x.example/a.png' }, text: words }],
      },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: '', detail: words } }] },
      { role: 'user', content: [{ type: 'input_audio', input_audio: { data: '', format: words } }] },
      { role: 'user', content: [{ type: 'input_audio', input_audio: { data: '', data2: words } }] },
      { role: 'user', content: [{ type: 'file', file: { file_data: '', filename: words } }] },
      { role: 'user', content: [{ type: 'file', file: { file_data: 'AAAA', file_id: words } }] },
      { role: 'user', content: [Array.from({ length: 50_000 }, () => 12)] },
    ]
    for (const message of hidden) expect(of({ role: 'user', ...message })).toBeGreaterThanOrEqual(25_000)
    const messages = [{ role: 'user', content: '' }]
    for (const name of ['tools', 'system', 'prompt', 'chat_template', 'guided_json', 'stop'])
      for (const member of [words, [words], { a: words }])
        expect(estimatePrompt({ messages, [name]: member })).toBeGreaterThanOrEqual(25_000)
    // No comma makes bytes a head.
    const sound = { type: 'input_audio', input_audio: { data: `${words},`, format: 'mp3' } }
    expect(of({ role: 'user', content: [sound] })).toBeGreaterThanOrEqual(375)
  })

  test('what is not well-formed is mended before it counts', () => {
    const sent = sendable({ messages: [{ role: 'user', content: 'a\0b\ud800' }] })
    expect(sent).toEqual({ messages: [{ role: 'user', content: 'a\uFFFDb\uFFFD' }] })
    expect(estimatePrompt(sent)).toBe(message(8))
    let deep: unknown = 'x'
    for (let i = 0; i < 10_000; i++) deep = [deep]
    expect(() => sendable({ messages: deep })).toThrow('nested too deep')
  })
})
