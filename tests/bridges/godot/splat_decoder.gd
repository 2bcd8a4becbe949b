# Messages of splats, put together to the 16 bytes of each: proto/wire.md.
extends Reference

const HEADER_BYTES = 112
const CHUNK_BYTES = 4096
const SPLATS_KEY = 4
const SPLATS_DELTA = 5

var splats = PoolByteArray()
var count = 0
var ln_scales = Vector2()
var pts_ns = -1
var keys = 0
var deltas = 0

var _key = PoolByteArray()
var _key_seq = -1


# True if the message changes what is to be seen.
func feed(message):
	var header = StreamPeerBuffer.new()
	header.data_array = message.subarray(0, HEADER_BYTES - 1)
	assert(header.get_string(4) == "FLXA" and header.get_u16() == 1)
	header.seek(24)
	var kind = header.get_u16()
	header.seek(60)
	var base_seq = header.get_u32()
	assert(header.get_u32() == message.size() - HEADER_BYTES)
	if kind == SPLATS_KEY:
		_take_key(message, base_seq)
	elif kind == SPLATS_DELTA and base_seq == _key_seq:
		_take_delta(message)
	else:
		return false
	header.seek(32)
	pts_ns = header.get_u64()
	header.seek(56)
	count = header.get_u32()
	header.seek(72)
	ln_scales = Vector2(header.get_float(), header.get_float())
	return true


func _take_key(message, seq):
	_key = message.subarray(HEADER_BYTES, -1)
	_key_seq = seq
	splats = _key
	keys += 1


func _take_delta(message):
	var chunks = (_key.size() + CHUNK_BYTES - 1) / CHUNK_BYTES
	var read = HEADER_BYTES + (chunks + 127) / 128 * 16
	splats = PoolByteArray()
	for chunk in chunks:
		var start = chunk * CHUNK_BYTES
		var size = min(CHUNK_BYTES, _key.size() - start)
		if message[HEADER_BYTES + chunk / 8] >> (chunk % 8) & 1:
			splats.append_array(message.subarray(read, read + size - 1))
			read += size
		else:
			splats.append_array(_key.subarray(start, start + size - 1))
	assert(read == message.size())
	deltas += 1
