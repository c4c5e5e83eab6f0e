/* list.h - circular lists of links that live inside the callers' objects.
 *
 * A link that is in no list has next == NULL, so that a zeroed object is in none, and unlinking
 * needs no list. */
#ifndef HARK_LIST_H
#define HARK_LIST_H

#include <hark/base.h>

#define hark__container HARK_CONTAINER

static inline void hark__list_init(struct hark_link *list)
{
	list->next = list->prev = list;
}

static inline bool hark__list_empty(const struct hark_link *list)
{
	return list->next == list;
}

static inline bool hark__linked(const struct hark_link *link)
{
	return link->next != NULL;
}

static inline void hark__append(struct hark_link *list, struct hark_link *link)
{
	link->next = list;
	link->prev = list->prev;
	list->prev->next = link;
	list->prev = link;
}

static inline void hark__unlink(struct hark_link *link)
{
	if (!hark__linked(link))
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = NULL;
}

/* Unlinks the first link of a list that has one, and returns it. */
static inline struct hark_link *hark__take_first(struct hark_link *list)
{
	struct hark_link *first = list->next;

	list->next = first->next;
	first->next->prev = list;
	first->next = first->prev = NULL;
	return first;
}

/* Moves all of `from` to the end of `list`, in order. */
static inline void hark__append_all(struct hark_link *list, struct hark_link *from)
{
	if (hark__list_empty(from))
		return;
	from->next->prev = list->prev;
	list->prev->next = from->next;
	from->prev->next = list;
	list->prev = from->prev;
	hark__list_init(from);
}

#endif
