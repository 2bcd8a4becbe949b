// Splats of 16 bytes to ellipses on the screen, as the server's own rasteriser draws them:
// EWA splatting (Zwicker et al. 2001) with the constants of flexavatar/render.
shader_type spatial;
render_mode unshaded, blend_mix, cull_disabled, depth_draw_never, skip_vertex_transform;

const float EPS2D = 0.3; // pixels^2, added to every projected covariance
const float ALPHA_MIN = 0.00392156863;
const float ALPHA_MAX = 0.999;
const float NEAR = 0.01;

uniform sampler2D splats; // a row is a chunk of 256 splats of four texels, 16 bytes
uniform sampler2D order; // splats from behind, 256 a row; red is the low byte
uniform vec2 ln_scales; // natural logarithms of the smallest and largest scale

varying vec4 tint; // not premultiplied, as displayed
varying vec3 conic;
varying vec2 offset; // pixels from the middle

// Not texelFetch: Godot keeps such textures as sRGB, and only a sampler can leave them undecoded.
ivec4 bytes_of(sampler2D table, ivec2 place) {
	vec2 middle = (vec2(place) + 0.5) / vec2(textureSize(table, 0));
	return ivec4(round(textureLod(table, middle, 0.0) * 255.0));
}

float half_of(int low, int high) {
	int exponent = (high >> 2) & 31;
	float mantissa = float(((high & 3) << 8) | low) / 1024.0;
	float size = exponent == 0
			? mantissa * exp2(-14.0) : (1.0 + mantissa) * exp2(float(exponent - 15));
	return high > 127 ? -size : size;
}

mat3 rotation_of(ivec2 octahedral, int turn) {
	vec2 p = vec2(octahedral) / 127.5 - 1.0;
	float z = 1.0 - abs(p.x) - abs(p.y);
	float fold = max(-z, 0.0);
	p.x -= p.x >= 0.0 ? fold : -fold;
	p.y -= p.y >= 0.0 ? fold : -fold;
	float half_angle = float(turn) * (3.14159265 / 510.0);
	vec4 q = vec4(normalize(vec3(p, z)) * sin(half_angle), cos(half_angle));
	vec3 d = q.xyz * q.xyz;
	return mat3(
			vec3(1.0 - 2.0 * (d.y + d.z), 2.0 * (q.x * q.y + q.w * q.z), 2.0 * (q.x * q.z - q.w * q.y)),
			vec3(2.0 * (q.x * q.y - q.w * q.z), 1.0 - 2.0 * (d.x + d.z), 2.0 * (q.y * q.z + q.w * q.x)),
			vec3(2.0 * (q.x * q.z + q.w * q.y), 2.0 * (q.y * q.z - q.w * q.x), 1.0 - 2.0 * (d.x + d.y)));
}

float scale_of(int steps, vec2 range) {
	return steps == 0 ? 0.0 : exp(range.x + float(steps - 1) * (range.y - range.x) / 254.0);
}

// VERTEX: the corner, x and y -1 or 1, and in z the place of its splat from behind.
void vertex() {
	int slot = int(VERTEX.z);
	ivec4 number = bytes_of(order, ivec2(slot & 255, slot >> 8));
	ivec2 place = ivec2(number.r * 4, number.g | (number.b << 8));
	ivec4 color = bytes_of(splats, place);
	ivec4 xy = bytes_of(splats, place + ivec2(1, 0));
	ivec4 z_axis = bytes_of(splats, place + ivec2(2, 0));
	ivec4 scales_turn = bytes_of(splats, place + ivec2(3, 0));
	vec3 mean = vec3(half_of(xy.r, xy.g), half_of(xy.b, xy.a), half_of(z_axis.r, z_axis.g));
	vec3 seen = (MODELVIEW_MATRIX * vec4(mean, 1.0)).xyz;
	tint = vec4(color) / 255.0;
	if (-seen.z < NEAR || color.a == 0) {
		POSITION = vec4(2.0, 2.0, 2.0, 1.0); // beyond the screen: not drawn
	} else {
		mat3 axes = mat3(MODELVIEW_MATRIX) * rotation_of(z_axis.ba, scales_turn.a);
		axes[0] *= scale_of(scales_turn.r, ln_scales);
		axes[1] *= scale_of(scales_turn.g, ln_scales);
		axes[2] *= scale_of(scales_turn.b, ln_scales);
		vec2 focal = vec2(PROJECTION_MATRIX[0][0], PROJECTION_MATRIX[1][1]) * 0.5 * VIEWPORT_SIZE;
		// how pixels move with the point, for a perspective projection
		vec3 a = vec3(focal.x, 0.0, focal.x * seen.x / -seen.z) / -seen.z * axes;
		vec3 b = vec3(0.0, focal.y, focal.y * seen.y / -seen.z) / -seen.z * axes;
		float xx = dot(a, a) + EPS2D;
		float mixed = dot(a, b);
		float yy = dot(b, b) + EPS2D;
		conic = vec3(yy, -mixed, xx) / (xx * yy - mixed * mixed);
		offset = VERTEX.xy * sqrt(2.0 * log(tint.a / ALPHA_MIN)) * sqrt(vec2(xx, yy));
		vec4 clip = PROJECTION_MATRIX * vec4(seen, 1.0);
		POSITION = clip + vec4(offset * 2.0 / VIEWPORT_SIZE * clip.w, 0.0, 0.0);
	}
}

void fragment() {
	vec2 d = offset;
	float sigma = 0.5 * (conic.x * d.x * d.x + conic.z * d.y * d.y) + conic.y * d.x * d.y;
	float alpha = min(tint.a * exp(-sigma), ALPHA_MAX);
	if (alpha < ALPHA_MIN) {
		discard;
	}
	ALBEDO = tint.rgb;
	ALPHA = alpha;
}
