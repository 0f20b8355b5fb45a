"""What columns are for, as far as their names say so."""

import re
from collections.abc import Iterable
from typing import Any

# names without separators and in lower case: user_id, userId, User ID and USERID are all "userid"
_KINDS = {
    "user": """
        user users uid userid usr usrid userno usernumber useridx userindex usercode username customer customerid cust
        custid client clientid member memberid reviewer reviewerid profile profileid account accountid visitor visitorid
        buyer buyerid shopper shopperid subscriber subscriberid household householdid householdkey listener listenerid
        reader readerid viewer viewerid person personid
    """,
    "item": """
        item items iid itemid itemno itemnumber itemidx itemindex itemcode product productid prod prodid asin parentasin
        movie movieid film filmid show showid anime animeid book bookid isbn song songid track trackid artist artistid
        album albumid game gameid app appid article articleid news newsid video videoid sku skuid stockcode recipe
        recipeid business businessid restaurant restaurantid venue venueid poi poiid course courseid job jobid listing
        listingid hotel hotelid
    """,
    "rating": "rating ratings userrating ratingvalue ratingscore score scores star stars starrating overall",
    "time": "timestamp time date datetime ts unixtime unixreviewtime reviewtime createdat",
    "count": "count counts plays playcount listencount clicks views hours hoursplayed quantity qty weight",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}


def kind_of_name(label: Any) -> str | None:
    """Tell what a column holds by its name: "user", "item", "rating", "time" or "count"; None: the name does not say.

    Parameters
    ----------
    label : object
        Names other than strings say nothing.

    Examples
    --------
    >>> from skllmrec._column_names import kind_of_name
    >>> [kind_of_name(label) for label in ("userId", "Movie ID", "stars", "title", 3)]
    ['user', 'item', 'rating', None, None]
    """
    if not isinstance(label, str):
        return None
    return _KIND_OF.get(re.sub(r"[\W_]+", "", label).casefold())


def columns_of_kind(labels: Iterable[Any], kind: str) -> list[str]:
    """Names among `labels` that say that a column is of a kind."""
    return [label for label in labels if kind_of_name(label) == kind]


def check_position_of_ids(labels: Iterable[Any], position: int, side: str) -> None:
    """Refuse a column of ids that is given by its position where the names of the columns contradict it.

    Positions are right where columns have no names, or names that do not say what they are. A column named item_id is
    not taken for the users because it comes first.

    Parameters
    ----------
    labels : sequence
        Names of all columns.
    position : int
        Of the column that is to hold the ids.
    side : {"user", "item"}
        Whose ids.

    Raises
    ------
    ValueError
        If the column at the position is named like ratings, times or counts, or another column is named like ids of
        this side and this one is not.

    Examples
    --------
    >>> from skllmrec._column_names import check_position_of_ids
    >>> check_position_of_ids(["user_id", "item_id", "rating"], 0, "user")
    >>> check_position_of_ids(["item_id", "user_id", "rating"], 0, "user")
    Traceback (most recent call last):
    ...
    ValueError: user=0 is the column 'item_id' of X, although X has the column 'user_id': name the column that holds...
    """
    labels = list(labels)
    label = labels[position]
    kind = kind_of_name(label)
    if kind == side:
        return
    better = columns_of_kind(labels, side)
    if not better and kind not in ("rating", "time", "count"):
        return
    other = f"although X has the column {better[0]!r}" if better else f"which is no name for ids of {side}s"
    raise ValueError(
        f"{side}={position} is the column {label!r} of X, {other}: name the column that holds the ids, "
        f"{side}={better[0] if better else '...'!r} (the columns of X are {labels})"
    )
