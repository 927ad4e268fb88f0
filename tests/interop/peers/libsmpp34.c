/* An SMPP peer made of libsmpp34 (Debian: libsmpp34-dev), which packs and unpacks PDUs. How it is spoken to: foreign.py. */
#include <arpa/inet.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libsmpp34/smpp34.h>
#include <libsmpp34/smpp34_structs.h>
#include <libsmpp34/smpp34_params.h>

static union {
    generic_nack_t head;
    bind_transceiver_t bind;
    bind_transceiver_resp_t bind_resp;
    submit_sm_t submit;
    submit_sm_resp_t submit_resp;
    deliver_sm_t deliver;
    deliver_sm_resp_t deliver_resp;
    data_sm_t data;
    data_sm_resp_t data_resp;
    query_sm_t query;
    query_sm_resp_t query_resp;
    char room[16384];
} pdu;

enum form { TEXT, OCTET };
struct field { uint32_t id; const char *name; size_t at; enum form form; size_t size; };
#define TEXT_FIELD(id, type, name) { id, #name, offsetof(type, name), TEXT, sizeof(((type *)0)->name) }
#define OCTET_FIELD(id, type, name) { id, #name, offsetof(type, name), OCTET, 1 }
#define BIND(id) \
    TEXT_FIELD(id, bind_transceiver_t, system_id), TEXT_FIELD(id, bind_transceiver_t, password), \
    OCTET_FIELD(id, bind_transceiver_t, interface_version)
#define MESSAGE(id, type) \
    TEXT_FIELD(id, type, source_addr), TEXT_FIELD(id, type, destination_addr), \
    OCTET_FIELD(id, type, source_addr_ton), OCTET_FIELD(id, type, source_addr_npi), \
    OCTET_FIELD(id, type, dest_addr_ton), OCTET_FIELD(id, type, dest_addr_npi), \
    OCTET_FIELD(id, type, esm_class), OCTET_FIELD(id, type, data_coding), OCTET_FIELD(id, type, registered_delivery)
static const struct field FIELDS[] = {
    BIND(BIND_TRANSCEIVER), BIND(BIND_TRANSMITTER), BIND(BIND_RECEIVER),
    TEXT_FIELD(BIND_TRANSCEIVER_RESP, bind_transceiver_resp_t, system_id),
    TEXT_FIELD(BIND_TRANSMITTER_RESP, bind_transmitter_resp_t, system_id),
    TEXT_FIELD(BIND_RECEIVER_RESP, bind_receiver_resp_t, system_id),
    MESSAGE(SUBMIT_SM, submit_sm_t), MESSAGE(DELIVER_SM, deliver_sm_t), MESSAGE(DATA_SM, data_sm_t),
    TEXT_FIELD(SUBMIT_SM_RESP, submit_sm_resp_t, message_id),
    TEXT_FIELD(DATA_SM_RESP, data_sm_resp_t, message_id),
    TEXT_FIELD(DELIVER_SM_RESP, deliver_sm_resp_t, message_id),
    TEXT_FIELD(QUERY_SM, query_sm_t, message_id), TEXT_FIELD(QUERY_SM, query_sm_t, source_addr),
    TEXT_FIELD(QUERY_SM_RESP, query_sm_resp_t, message_id), TEXT_FIELD(QUERY_SM_RESP, query_sm_resp_t, final_date),
    OCTET_FIELD(QUERY_SM_RESP, query_sm_resp_t, message_state),
};
static const struct { uint32_t id; const char *name; } COMMANDS[] = {
    { BIND_TRANSCEIVER, "bind_transceiver" }, { BIND_TRANSMITTER, "bind_transmitter" }, { BIND_RECEIVER, "bind_receiver" },
    { SUBMIT_SM, "submit_sm" }, { DELIVER_SM, "deliver_sm" }, { DATA_SM, "data_sm" }, { QUERY_SM, "query_sm" },
    { ENQUIRE_LINK, "enquire_link" }, { UNBIND, "unbind" },
};
static const struct { uint16_t id; const char *name; int width; } PARAMETERS[] = {
    { TLVID_message_payload, "message_payload", 0 }, { TLVID_receipted_message_id, "receipted_message_id", 0 },
    { TLVID_message_state, "message_state", 1 }, { TLVID_sar_msg_ref_num, "sar_msg_ref_num", 2 },
    { TLVID_sar_total_segments, "sar_total_segments", 1 }, { TLVID_sar_segment_seqnum, "sar_segment_seqnum", 1 },
};
#define N(table) (sizeof table / sizeof *table)

static int peer = -1;
static unsigned refuse, ids;

static void give_up(const char *why)
{
    printf("error text=%s\n", why);
    exit(1);
}

static void out(void)
{
    static uint8_t octets[70000];
    int size = 0;
    if (smpp34_pack2(octets, sizeof octets, &size, &pdu) != 0) {
        fprintf(stderr, "%s\n", smpp34_strerror);
        give_up("pack");
    }
    for (int done = 0; done < size;) {
        ssize_t n = write(peer, octets + done, (size_t)(size - done));
        if (n <= 0) return;
        done += (int)n;
    }
}

static size_t unhex(const char *text, uint8_t *octets, size_t room)
{
    size_t n = 0;
    unsigned octet;
    for (; n < room && sscanf(text + 2 * n, "%2x", &octet) == 1; n++) octets[n] = (uint8_t)octet;
    return n;
}

static void set(uint32_t id, const char *name, const char *value)
{
    if (strcmp(name, "seq") == 0) { pdu.head.sequence_number = (uint32_t)strtoul(value, NULL, 10); return; }
    if (strcmp(name, "short_message") == 0) {
        uint8_t *text = id == SUBMIT_SM ? pdu.submit.short_message : pdu.deliver.short_message;
        uint8_t *length = id == SUBMIT_SM ? &pdu.submit.sm_length : &pdu.deliver.sm_length;
        *length = (uint8_t)unhex(value, text, 254);
        return;
    }
    for (size_t n = 0; n < N(PARAMETERS); n++) {
        if (strcmp(name, PARAMETERS[n].name) != 0) continue;
        tlv_t *found = calloc(1, sizeof *found), **head =
            id == SUBMIT_SM ? &pdu.submit.tlv : id == DELIVER_SM ? &pdu.deliver.tlv : &pdu.data.tlv;
        uint8_t octets[MAX_TLV_SIZE];
        found->tag = PARAMETERS[n].id;
        found->length = (uint16_t)unhex(value, octets, sizeof octets);
        if (PARAMETERS[n].width == 1) found->value.val08 = octets[0];
        else if (PARAMETERS[n].width == 2) found->value.val16 = (uint16_t)(octets[0] << 8 | octets[1]);
        else memcpy(found->value.octet, octets, found->length);
        build_tlv(head, found);
        free(found);
        return;
    }
    for (size_t n = 0; n < N(FIELDS); n++) {
        if (FIELDS[n].id != id || strcmp(FIELDS[n].name, name) != 0) continue;
        char *at = pdu.room + FIELDS[n].at;
        if (FIELDS[n].form == OCTET) *at = (char)strtoul(value, NULL, 10);
        else snprintf(at, FIELDS[n].size, "%s", value);
        return;
    }
    give_up(name);
}

static void order(char *line)
{
    char *left, *name = strtok_r(line, " ", &left), *word;
    if (name == NULL) return;
    if (strcmp(name, "refuse") == 0) {
        refuse = (unsigned)strtoul(strchr(left, '=') + 1, NULL, 10);
        printf("refusing\n");
        return;
    }
    memset(&pdu, 0, sizeof pdu);
    for (size_t n = 0; n < N(COMMANDS); n++) {
        if (strcmp(name, COMMANDS[n].name) == 0) pdu.head.command_id = COMMANDS[n].id;
    }
    while ((word = strtok_r(NULL, " ", &left)) != NULL) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        set(pdu.head.command_id, word, value);
    }
    out();
}

static void show_octets(const char *name, const uint8_t *octets, size_t size)
{
    printf(" %s=", name);
    while (size--) printf("%02x", *octets++);
}

static void show(void)
{
    uint32_t id = pdu.head.command_id;
    const char *name = "generic_nack";
    tlv_t *tlvs = NULL;
    for (size_t n = 0; n < N(COMMANDS); n++) {
        if (COMMANDS[n].id == (id & 0x7fffffff)) name = COMMANDS[n].name;
    }
    printf("%s%s seq=%u status=%u", name, id & 0x80000000 && id != GENERIC_NACK ? "_resp" : "",
           pdu.head.sequence_number, pdu.head.command_status);
    for (size_t n = 0; n < N(FIELDS); n++) {
        if (FIELDS[n].id != id) continue;
        if (FIELDS[n].form == OCTET) printf(" %s=%u", FIELDS[n].name, (unsigned char)pdu.room[FIELDS[n].at]);
        else printf(" %s=%s", FIELDS[n].name, pdu.room + FIELDS[n].at);
    }
    if (id == SUBMIT_SM) { show_octets("short_message", pdu.submit.short_message, pdu.submit.sm_length); tlvs = pdu.submit.tlv; }
    if (id == DELIVER_SM) { show_octets("short_message", pdu.deliver.short_message, pdu.deliver.sm_length); tlvs = pdu.deliver.tlv; }
    for (; tlvs != NULL; tlvs = tlvs->next) {
        if (tlvs->tag == TLVID_message_payload) show_octets("message_payload", tlvs->value.octet, tlvs->length);
        if (tlvs->tag == TLVID_receipted_message_id) printf(" receipted_message_id=%.65s", tlvs->value.octet);
        if (tlvs->tag == TLVID_message_state) printf(" message_state=%u", tlvs->value.val08);
    }
    printf("\n");
}

static void heard(const uint8_t *octets, int size)
{
    memset(&pdu, 0, sizeof pdu);
    if (smpp34_unpack2(&pdu, octets, size) != 0) {
        fprintf(stderr, "%s\n", smpp34_strerror);
        give_up("unpack");
    }
    uint32_t id = pdu.head.command_id, sequence = pdu.head.sequence_number, status = 0;
    show();
    if (id & 0x80000000) return;
    if (id == SUBMIT_SM) status = refuse;
    if ((id == BIND_TRANSCEIVER || id == BIND_TRANSMITTER || id == BIND_RECEIVER) &&
        strcmp((char *)pdu.bind.password, "wrong") == 0) status = ESME_RINVPASWD;
    memset(&pdu, 0, sizeof pdu);
    pdu.head.command_id = id | 0x80000000;
    pdu.head.sequence_number = sequence;
    pdu.head.command_status = status;
    if (id == SUBMIT_SM && status == 0) snprintf((char *)pdu.submit_resp.message_id, 65, "lib-%u", ++ids);
    else if (id == BIND_TRANSCEIVER || id == BIND_TRANSMITTER || id == BIND_RECEIVER)
        snprintf((char *)pdu.bind_resp.system_id, 16, "libsmpp34");
    out();
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof here;
    int smsc = argc > 1 && strcmp(argv[1], "smsc") == 0, listener = -1;
    static uint8_t in[140000];
    static char orders[140000];
    size_t have = 0, ordered = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (smsc) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 8)) give_up("listen");
        getsockname(listener, (struct sockaddr *)&here, &size);
        printf("listening port=%d\n", ntohs(here.sin_port));
    } else {
        here.sin_port = htons((uint16_t)atoi(argv[2]));
        peer = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(peer, (struct sockaddr *)&here, size)) give_up("connect");
        printf("connected\n");
    }
    for (;;) {
        struct pollfd ready[2] = { { .fd = 0, .events = POLLIN }, { .fd = peer >= 0 ? peer : listener, .events = POLLIN } };
        ssize_t n;
        poll(ready, 2, -1);
        if (ready[0].revents) {
            if ((n = read(0, orders + ordered, sizeof orders - ordered - 1)) <= 0) return 0;
            ordered += (size_t)n;
            orders[ordered] = '\0';
            for (char *end; (end = strchr(orders, '\n')) != NULL;) {
                *end++ = '\0';
                order(orders);
                ordered -= (size_t)(end - orders);
                memmove(orders, end, ordered + 1);
            }
        }
        if (!ready[1].revents) continue;
        if (peer < 0) {
            peer = accept(listener, NULL, NULL);
            printf("accepted\n");
            continue;
        }
        if ((n = read(peer, in + have, sizeof in - have)) <= 0) {
            printf("closed\n");
            if (!smsc) return 0;
            close(peer);
            peer = -1;
            have = 0;
            continue;
        }
        have += (size_t)n;
        for (;;) {
            uint32_t length;
            memcpy(&length, in, 4);
            length = ntohl(length);
            if (have < 4 || have < length) break;
            heard(in, (int)length);
            have -= length;
            memmove(in, in + length, have);
        }
    }
}
