/* settings.c - settings.h. Numbers are read here, because strtod(3) goes by the locale. */
#include "wrappers/settings.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Adds a digit that stands for so many. Returns false if the sum is too large. */
static bool add_digit(uint64_t *sum, unsigned digit, uint64_t each)
{
	if (each != 0 && digit > (UINT64_MAX - *sum) / each)
		return false;
	*sum += digit * each;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads what is from text up to end, a number with or without decimals. */
static bool read_number(const char *text, const char *end, const struct hark__setting *s)
{
	const char *c = text;
	uint64_t whole = 0, part = 0, each = s->unit;

	if (c == end || !is_digit(*c))
		return false;
	for (; c < end && is_digit(*c); c++) {
		if (whole > UINT64_MAX / 10)
			return false;
		whole *= 10;
		if (!add_digit(&whole, (unsigned)(*c - '0'), 1))
			return false;
	}
	if (whole > UINT64_MAX / s->unit)
		return false;
	whole *= s->unit;
	if (c < end && *c == '.' && s->unit > 1) {
		for (c++; c < end && is_digit(*c); c++) {
			each /= 10;
			add_digit(&part, (unsigned)(*c - '0'), each);
		}
	}
	if (c != end || part > UINT64_MAX - whole || whole + part > s->most)
		return false;
	*s->value = whole + part;
	return true;
}

static int refuse(struct hark_port *up, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(struct hark_port *up, const char *format, ...)
{
	char reason[128];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	hark_port_why(up, reason);
	return -EINVAL;
}

static int refuse_name(struct hark_port *up, const char *from, const char *name, int length,
                       const struct hark__setting *settings, size_t count)
{
	char names[100] = "";
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof names; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, " %s",
		                         settings[i].name);
	return refuse(up, "%s'%.*s' is none of%s", from, length, name, names);
}

/* Reads one "name=value". */
static int read_one(struct hark_port *up, const char *from, const char *text, const char *end,
                    const struct hark__setting *settings, size_t count)
{
	const char *equals = memchr(text, '=', (size_t)(end - text));
	size_t length = (size_t)((equals != NULL ? equals : end) - text);

	for (size_t i = 0; i < count; i++) {
		const struct hark__setting *s = &settings[i];

		if (strlen(s->name) != length || strncmp(s->name, text, length) != 0)
			continue;
		if (equals != NULL && read_number(equals + 1, end, s))
			return 0;
		return refuse(up, "%s'%.*s': %s is %s", from, (int)(end - text), text, s->name,
		              s->what);
	}
	return refuse_name(up, from, text, (int)length, settings, count);
}

int hark__settings(struct hark_port *up, const char *from, const char *text,
                   const struct hark__setting *settings, size_t count)
{
	int error = 0;

	while (text != NULL && *text != '\0' && error == 0) {
		const char *end = text + strcspn(text, ",");

		error = read_one(up, from, text, end, settings, count);
		if (error == 0 && *end == ',' && end[1] == '\0')
			error = refuse(up, "%snothing follows the last comma", from);
		text = *end == ',' ? end + 1 : end;
	}
	return error;
}
